"""Which token comes next: what a request asks for, single samples, and beams."""
