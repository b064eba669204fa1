"""The table of settings in firmware/README.md."""

from firmware import settings
from firmware.deploy import readme


def test_the_table_is_that_of_today():
    text = readme.README.read_text("utf-8")
    assert readme.updated(text) == text, "Run: python firmware/deploy/readme.py"


def test_every_setting_has_a_sentence_and_no_other():
    assert sorted(readme.SENTENCES) == sorted(settings.defaults())
