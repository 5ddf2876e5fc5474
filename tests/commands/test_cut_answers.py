"""What ``pagedviz record`` says of answers that the pool cut short."""

from pagedviz.cli import main


def test_record_says_that_the_pool_cut_an_answer(folder, tmp_path, capsys):
    asked = [
        "record",
        "w1",
        "w2 w3",
        "--model",
        folder,
        "--block-size",
        "4",
        "--out",
        str(tmp_path / "t"),
        "--json",
    ]

    assert main([*asked, "--num-device-blocks", "2", "--max-tokens", "100"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in told] == [
        " r0 ended after 8 of 100 tokens",
        " r1 ended after 7 of 100 tokens",
    ]
    assert "the pool holds 8 in all, and the prompt has 2; raise --num-device-blocks" in told[1]

    assert main([*asked, "--num-device-blocks", "2", "--max-tokens", "7"]) == 0
    assert main([*asked, "--num-device-blocks", "64", "--max-tokens", "100"]) == 0
    assert capsys.readouterr().err == ""
