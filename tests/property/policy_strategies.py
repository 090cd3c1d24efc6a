"""Arbitrary IAM policies, as Hypothesis strategies."""

from hypothesis import strategies as st

NAMES = st.sampled_from(["", "One", "Two", "AllowSSL", "x y", "Überwachung"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
ACTIONS = st.sampled_from(["s3:PutObject", "s3:*", "*", "s3:GetObject", "s3:Put*", "kms:Decrypt"])
RESOURCES = st.sampled_from(
    ["*", "arn:aws:s3:::reports/*", "arn:aws:s3:::reports/inv/*", "arn:aws:s3:::other/*"]
)
PRINCIPALS = st.sampled_from(
    [
        "*",
        {"AWS": "*"},
        {"AWS": ["arn:aws:iam::111122223333:root", "999999999999"]},
        {"Service": "s3.amazonaws.com"},
        {"Service": ["logging.s3.amazonaws.com", "s3.amazonaws.com"]},
    ]
)
VALUES = st.one_of(TEXT, st.booleans(), st.integers(-5, 5), st.lists(TEXT, max_size=3))
CONDITIONS = st.dictionaries(
    st.sampled_from(["StringEquals", "ArnLike", "Bool", "Null", "StringNotLike", "Newish"]),
    st.dictionaries(
        st.sampled_from(["aws:SourceArn", "aws:SourceAccount", "aws:SecureTransport", "s3:x"]),
        VALUES,
        max_size=2,
    ),
    max_size=2,
)


def one_or_more(values):
    return st.one_of(values, st.lists(values, min_size=1, max_size=3))


@st.composite
def statements(draw):
    made = {"Effect": draw(st.sampled_from(["Allow", "Deny"]))}
    if sid := draw(NAMES):
        made["Sid"] = sid
    for name, values in (("Action", one_or_more(ACTIONS)), ("Resource", one_or_more(RESOURCES))):
        made[("Not" if draw(st.integers(0, 4)) == 0 else "") + name] = draw(values)
    made["Not" * draw(st.booleans()) + "Principal"] = draw(PRINCIPALS)
    if draw(st.booleans()):
        made["Condition"] = draw(CONDITIONS)
    return made


@st.composite
def policies(draw):
    made = {}
    if draw(st.booleans()):
        made["Version"] = draw(st.sampled_from(["2012-10-17", "2008-10-17"]))
    if draw(st.booleans()):
        made["Id"] = draw(TEXT)
    found = draw(st.lists(statements(), max_size=4))
    made["Statement"] = found[0] if len(found) == 1 and draw(st.booleans()) else found
    return made
