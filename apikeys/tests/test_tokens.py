"""The text of a key: told from others, and from itself with a typing error, without a look-up."""

import re
import string

import pytest

from apikeys import tokens
from apikeys.tokens import ALPHABET, PATTERN, Malformed, Mistyped, new_token, parse
from audit.redaction import safe_text


def test_a_new_token_has_the_documented_form():
    text = new_token().text

    assert re.fullmatch(PATTERN, text)
    assert len(text) == 50
    assert parse(text).public_part == text[3:15]


def test_two_tokens_share_nothing():
    first, second = new_token(), new_token()

    assert first.public_part != second.public_part
    assert first.text[16:] != second.text[16:]


def test_the_secret_holds_at_least_160_random_bits():
    assert len(ALPHABET) ** tokens.SECRET_LENGTH >= 2**160


def test_the_checksum_is_the_documented_one():
    assert tokens.checksum("ac_000000000000_0000000000000000000000000000") == "0GNIm1"


def test_every_wrong_character_and_every_swap_is_told():
    text = new_token().text
    for place in [*range(3, 15), *range(16, 50)]:
        other = "a" if text[place] != "a" else "b"
        with pytest.raises(Mistyped):
            parse(text[:place] + other + text[place + 1 :])
        if place not in (14, 49) and text[place] != text[place + 1]:
            with pytest.raises(Mistyped):
                parse(text[:place] + text[place + 1] + text[place] + text[place + 2 :])


@pytest.mark.parametrize("change", [str.upper, str.lower, str.swapcase])
def test_case_counts(change):
    text = new_token().text
    with pytest.raises((Malformed, Mistyped)):
        parse(change(text))


def test_what_is_no_key_is_told():
    text = new_token().text
    for wrong in ["", "ac", text + "x", text[:-1], f" {text}", f"{text}\n", text.replace("_", "-"), "ac_" + "é" * 47]:
        with pytest.raises(Malformed):
            parse(wrong)


def test_no_message_repeats_the_text():
    for wrong in ["my password", new_token().text[:-1] + "_"]:
        with pytest.raises((Malformed, Mistyped)) as told:
            parse(wrong)
        assert wrong not in str(told.value)


def test_the_audit_log_keeps_of_a_key_only_what_may_be_shown():
    text = new_token().text

    assert safe_text(f"sent {text}.") == f"sent {text[:16]}[redacted]."


def test_each_part_is_letters_and_digits():
    assert set(ALPHABET) == set(string.ascii_letters + string.digits)
