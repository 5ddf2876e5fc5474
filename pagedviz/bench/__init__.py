"""One module per benchmark: its function of the same name measures, and makes the rows that are printed.

The first paragraphs of that function's docstring are the help of ``pagedviz bench``, shown without loading torch.
What is measured is compared with a peer or a limit in the same run. Experiments, which measure no time, are in
``lab``; a benchmark of theirs makes rows of them.
"""
