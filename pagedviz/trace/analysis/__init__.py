"""What a whole trace tells: memory over steps, lanes of requests, lives of blocks, reuse, waste. Draws nothing."""
