"""Attacks on signatures: wrapping, injection, swapped algorithms and plain tampering.

What has to hold in every case: the message is refused, or it is the one that was signed, with the same ReplayProtect.
"""

import base64
import copy
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from openadr import wire
from openadr.errors import NotXml, SchemaInvalid, SignatureInvalid, WireError
from openadr.messages import Poll
from openadr.wire.signature import Verified, verify
from openadr.wire.signing import sign
from tests.openadr.wire.samples import SAMPLES
from tests.openadr.wire.signed import (
    C14N,
    DS,
    MORE,
    NONCE,
    NOW,
    NS,
    OADR,
    POLL,
    SHA256,
    Change,
    changed,
    element,
    forge,
    one,
    party,
    signature_value,
    signed,
)

EVIL = Poll(ven_id="ven-666")
OTHER_NONCE = bytes(16)
ID = f"{{{OADR}}}Id"


def check(data: bytes) -> Verified:
    return verify(data, trusted=party("ec").der)


def refused(data: bytes, match: str = ".") -> None:
    with pytest.raises(SignatureInvalid, match=match):
        check(data)


# Wrapping: the signed element stays in the document, and another one stands where the message is read.


def evil_object(identifier: str | None) -> etree._Element:
    evil = copy.deepcopy(etree.fromstring(signed("ec", EVIL.ven_id))[1])
    if identifier is None:
        del evil.attrib[ID]
    else:
        evil.set(ID, identifier)
    return evil


def wrap(place: str, identifier: str | None, *, within: str = "") -> Change:
    """Move the signed object to ``place`` and put an evil one where it was."""

    def change(root: etree._Element) -> None:
        good = root[1]
        root.replace(good, evil_object(identifier))
        holder = one(root, place)
        if within:
            holder.append(element(within))
            holder = holder[-1]
        holder.append(good)

    return change


IDS = {"same-id": "oadrSignedObject", "other-id": "evil", "no-id": None, "replay-id": "replayProtect"}
PLACES = {
    "key-info": ".//ds:KeyInfo",
    "x509-data": ".//ds:X509Data",
    "object": ".//ds:Object",
    "signature-property": ".//ds:SignatureProperty",
    "replay-protect": ".//dsp:ReplayProtect",
    "transform": ".//ds:Transform",
    "digest-method": ".//ds:DigestMethod",
    "signature-method": ".//ds:SignatureMethod",
    "signature": "ds:Signature",
    "signed-info": ".//ds:SignedInfo",
    "root": ".",
    "evil-object": "o:oadrSignedObject",
    "evil-payload": "o:oadrSignedObject/o:oadrPoll",
}
WRAPPERS = {
    "plain": "",
    "foreign": '<x xmlns="urn:x"/>',
    "payload": "<o:oadrPayload/>",
    "object": "<ds:Object/>",
    "signature": "<ds:Signature/>",
}


@pytest.mark.parametrize("identifier", IDS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_rule_514_a_moved_signed_object_does_not_vouch_for_another(wrapper: str, place: str, identifier: str) -> None:
    data = changed(signed(), wrap(PLACES[place], IDS[identifier], within=WRAPPERS[wrapper]))
    with pytest.raises((SignatureInvalid, SchemaInvalid)):
        check(data)


def test_rule_514_wrapping_that_passes_the_schema_is_caught_by_the_signature() -> None:
    for wrapper in ("", '<x xmlns="urn:x"/>'):
        for place in (".//ds:KeyInfo", ".//ds:X509Data"):
            refused(changed(signed(), wrap(place, "evil", within=wrapper)), "two references")
            refused(changed(signed(), wrap(place, None, within=wrapper)), "two references")
    second = '<ds:Object Id="second"/>'
    refused(changed(signed(), wrap("ds:Signature", "evil", within=second)), "exactly one ds:Object")


def second_object(at: int, identifier: str | None) -> Change:
    return lambda root: root.insert(at, evil_object(identifier))


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("identifier", IDS)
def test_rule_514_a_second_signed_object_is_refused(at: int, identifier: str) -> None:
    with pytest.raises(SchemaInvalid):
        check(changed(signed(), second_object(at, IDS[identifier])))


def second_payload(root: etree._Element) -> None:
    root[1].append(evil_object(None)[0])


def payload_before(root: etree._Element) -> None:
    root[1].insert(0, evil_object(None)[0])


@pytest.mark.parametrize("change", [second_payload, payload_before])
def test_rule_514_a_second_payload_in_the_signed_object_is_refused(change: Change) -> None:
    with pytest.raises(SchemaInvalid):
        check(changed(signed(), change))


def test_rule_514_the_whole_payload_within_another_is_refused() -> None:
    outer = etree.fromstring(wire.encode(EVIL))
    outer.insert(0, etree.fromstring(signed()))
    with pytest.raises(SchemaInvalid):
        check(etree.tostring(outer))


def test_rule_514_a_signature_belongs_to_its_own_message() -> None:
    mine, other = etree.fromstring(signed()), etree.fromstring(signed("ec", EVIL.ven_id, OTHER_NONCE))
    mine.replace(mine[1], other[1])
    refused(etree.tostring(mine), "digest of oadrSignedObject")


def test_rule_514_replay_protect_cannot_come_from_another_message() -> None:
    def fresh(root: etree._Element) -> None:
        other = etree.fromstring(signed("ec", "ven-1", OTHER_NONCE))
        signature = one(root, "ds:Signature")
        signature.replace(one(signature, "ds:Object"), one(other, ".//ds:Object"))

    refused(changed(signed(), fresh), "digest of Object")


@pytest.mark.parametrize("identifier", ["replayProtect", "fresh"])
@pytest.mark.parametrize("place", [".//ds:KeyInfo", ".//ds:X509Data", "ds:Signature"])
def test_rule_514_a_moved_replay_protect_does_not_vouch_for_a_fresh_one(place: str, identifier: str) -> None:
    def fresh(root: etree._Element) -> None:
        signature, old = one(root, "ds:Signature"), one(root, ".//ds:Object")
        new = copy.deepcopy(old)
        new.set("Id", identifier)
        one(new, ".//dsp:nonce").text = OTHER_NONCE.hex()
        signature.replace(old, new)
        holder = element('<x xmlns="urn:x"/>')
        holder.append(old)
        if place == "ds:Signature":
            signature.append(element('<ds:Object Id="second"/>'))
            signature[-1].append(holder)
        else:
            one(root, place).append(holder)

    with pytest.raises((SignatureInvalid, SchemaInvalid)):
        check(changed(signed(), fresh))


# Ids


@pytest.mark.parametrize("attribute", ["Id", "ID", "id", "{urn:x}Id", "{urn:x}id", ID])
@pytest.mark.parametrize("value", ["oadrSignedObject", "replayProtect"])
def test_rule_514_an_id_that_occurs_twice_is_refused_even_where_the_schema_is_lax(attribute: str, value: str) -> None:
    def twin(root: etree._Element) -> None:
        foreign = element('<x xmlns="urn:x"/>')
        foreign.set(attribute, value)
        one(root, ".//ds:KeyInfo").append(foreign)

    refused(changed(signed(), twin), "occurs twice")


def test_rule_514_an_xml_id_that_occurs_twice_is_refused() -> None:
    def twin(root: etree._Element) -> None:
        foreign = element('<x xmlns="urn:x"/>')
        foreign.set("{http://www.w3.org/XML/1998/namespace}id", "oadrSignedObject")
        one(root, ".//ds:KeyInfo").append(foreign)

    with pytest.raises((SchemaInvalid, SignatureInvalid)):
        check(changed(signed(), twin))


@pytest.mark.parametrize("rightly_signed", [True, False])
def test_rule_514_one_id_for_both_signed_elements_is_refused(rightly_signed: bool) -> None:
    def same(root: etree._Element) -> None:
        one(root, ".//ds:Object").set("Id", "oadrSignedObject")
        one(root, ".//ds:SignedInfo")[3].set("URI", "#oadrSignedObject")

    data = forge(party("ec"), same) if rightly_signed else changed(signed(), same)
    with pytest.raises((SchemaInvalid, SignatureInvalid)):
        check(data)


@pytest.mark.parametrize("name", ["Id", "{http://www.w3.org/XML/1998/namespace}id", "{urn:x}Id", f"{{{DS}}}Id"])
def test_rule_514_the_id_of_the_signed_object_has_no_other_name(name: str) -> None:
    def rename(root: etree._Element) -> None:
        root[1].set(name, root[1].attrib.pop(ID))

    with pytest.raises(SchemaInvalid):
        check(forge(party("ec"), rename))


# References, each time rightly signed, so that only the rule can refuse them.


def references(*uris: str | None) -> Change:
    def change(root: etree._Element) -> None:
        info = one(root, ".//ds:SignedInfo")
        model = info[2]
        for old in info.findall("ds:Reference", NS):
            info.remove(old)
        for uri in uris:
            new = copy.deepcopy(model)
            if uri is None:
                del new.attrib["URI"]
            else:
                new.set("URI", uri)
            info.append(new)

    return change


def objects(root: etree._Element) -> None:
    """Sign a foreign element inside KeyInfo in the place of the message."""
    one(root, ".//ds:KeyInfo").append(element('<x xmlns="urn:x" Id="unrelated"/>'))
    references("#unrelated", "#replayProtect")(root)


def reference_to_signature(root: etree._Element) -> None:
    references("#signature", "#replayProtect")(root)


REFERENCES: dict[str, Change] = {
    "message-only": references("#oadrSignedObject"),
    "replay-protect-only": references("#replayProtect"),
    "message-twice": references("#oadrSignedObject", "#oadrSignedObject"),
    "replay-protect-twice": references("#replayProtect", "#replayProtect"),
    "three": references("#oadrSignedObject", "#replayProtect", "#replayProtect"),
    "whole-document": references("", "#replayProtect"),
    "no-uri": references(None, "#replayProtect"),
    "no-fragment": references("oadrSignedObject", "#replayProtect"),
    "bare-fragment": references("#", "#replayProtect"),
    "external-http": references("http://127.0.0.1/x.xml", "#replayProtect"),
    "external-file": references("file:///etc/passwd", "#replayProtect"),
    "external-with-fragment": references("http://127.0.0.1/x.xml#oadrSignedObject", "#replayProtect"),
    "xpointer-id": references("#xpointer(id('oadrSignedObject'))", "#replayProtect"),
    "xpointer-root": references("#xpointer(/)", "#replayProtect"),
    "blank": references(" #oadrSignedObject", "#replayProtect"),
    "escaped": references("#oadrSigned%4Fbject", "#replayProtect"),
    "other-case": references("#OADRSIGNEDOBJECT", "#replayProtect"),
    "unrelated": objects,
    "the-signature-itself": reference_to_signature,
    "many": references(*["#oadrSignedObject", "#replayProtect"] * 500),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_rule_514_references_other_than_the_two_are_refused_though_rightly_signed(name: str) -> None:
    refused(forge(party("ec"), REFERENCES[name]), "two references")


def unsigned_id(root: etree._Element) -> None:
    del root[1].attrib[ID]
    references("#", "#replayProtect")(root)


def no_ids(root: etree._Element) -> None:
    del root[1].attrib[ID]
    del one(root, ".//ds:Object").attrib["Id"]
    references("#", "#")(root)


def no_object_id(root: etree._Element) -> None:
    del one(root, ".//ds:Object").attrib["Id"]
    references("#oadrSignedObject", "#")(root)


@pytest.mark.parametrize("change", [unsigned_id, no_object_id, no_ids])
def test_rule_514_elements_without_id_cannot_be_meant(change: Change) -> None:
    refused(forge(party("ec"), change))


# Algorithms


def algorithm(path: str, uri: str) -> Change:
    def change(root: etree._Element) -> None:
        for found in root.findall(path, NS):
            found.set("Algorithm", uri)

    return change


METHODS = [
    f"{DS}hmac-sha1",
    f"{MORE}hmac-sha256",
    f"{DS}dsa-sha1",
    f"{DS}rsa-sha1",
    f"{MORE}ecdsa-sha1",
    f"{MORE}rsa-md5",
    f"{MORE}rsa-sha512",
    f"{MORE}ecdsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2009/xmldsig11#dsa-sha256",
    f"{MORE}ECDSA-SHA256",
    f" {MORE}ecdsa-sha256",
    "",
    "x" * 300_000,
]


@pytest.mark.parametrize("uri", METHODS, ids=lambda uri: uri[-20:])
def test_rule_514_other_signature_methods_are_refused(uri: str) -> None:
    with pytest.raises(SignatureInvalid, match=r"SignatureMethod .* is not allowed") as caught:
        check(forge(party("ec"), algorithm(".//ds:SignatureMethod", uri)))
    assert len(caught.value.description) < 300


@pytest.mark.parametrize(("kind", "method"), [("ec", "rsa-sha256"), ("rsa", "ecdsa-sha256")])
def test_rule_514_the_method_has_to_fit_the_key(kind: str, method: str) -> None:
    data = forge(party(kind), algorithm(".//ds:SignatureMethod", MORE + method))
    with pytest.raises(SignatureInvalid, match="does not fit the key"):
        verify(data, trusted=party(kind).der)


@pytest.mark.parametrize("uri", [f"{DS}sha1", f"{MORE}md5", f"{MORE}sha224", f"{SHA256[:-3]}512", "", "none"])
def test_rule_514_other_digest_methods_are_refused(uri: str) -> None:
    refused(forge(party("ec"), algorithm(".//ds:DigestMethod", uri)), r"DigestMethod .* is not allowed")


TRANSFORMS = [
    "http://www.w3.org/TR/1999/REC-xpath-19991116",
    "http://www.w3.org/2002/06/xmldsig-filter2",
    "http://www.w3.org/TR/1999/REC-xslt-19991116",
    f"{DS}enveloped-signature",
    f"{DS}base64",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2006/12/xml-c14n11",
    "",
]


@pytest.mark.parametrize("uri", TRANSFORMS)
def test_rule_514_transforms_other_than_canonical_xml_are_refused(uri: str) -> None:
    refused(forge(party("ec"), algorithm(".//ds:Transform", uri)), r"Transform .* is not allowed")


@pytest.mark.parametrize("uri", TRANSFORMS)
def test_rule_514_other_forms_of_signed_info_are_refused(uri: str) -> None:
    refused(forge(party("ec"), algorithm(".//ds:CanonicalizationMethod", uri)), r"Canonicali.* is not allowed")


def parameter(path: str, fragment: str) -> Change:
    return lambda root: one(root, path).append(element(fragment))


def text(path: str, value: str) -> Change:
    def change(root: etree._Element) -> None:
        one(root, path).text = value

    return change


PREFIXES = '<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="ei"/>'
PARAMETERS: dict[str, Change] = {
    "hmac-length": parameter(".//ds:SignatureMethod", "<ds:HMACOutputLength>0</ds:HMACOutputLength>"),
    "xpath": parameter(".//ds:Transform", "<ds:XPath>//venID</ds:XPath>"),
    "xslt": parameter(
        ".//ds:Transform",
        '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/>',
    ),
    "prefixes": parameter(".//ds:Transform", PREFIXES),
    "digest": parameter(".//ds:DigestMethod", '<x xmlns="urn:x"/>'),
    "transform-text": text(".//ds:Transform", "x"),
    "method-text": text(".//ds:SignatureMethod", "x"),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_rule_514_parameters_of_algorithms_are_refused(name: str) -> None:
    refused(forge(party("ec"), PARAMETERS[name]), "is not allowed")


def test_rule_514_the_form_of_signed_info_has_no_parameters() -> None:
    with pytest.raises((SignatureInvalid, SchemaInvalid)):
        check(forge(party("ec"), parameter(".//ds:CanonicalizationMethod", PREFIXES)))


def test_rule_514_more_than_one_transform_is_refused() -> None:
    def twice(root: etree._Element) -> None:
        one(root, ".//ds:Transforms").append(element(f'<ds:Transform Algorithm="{C14N}"/>'))

    refused(forge(party("ec"), twice), "one Transform")


# Values


@pytest.mark.parametrize("value", [b"", b"\0", b"\0" * 63, b"\0" * 64, b"\xff" * 64, b"\1" * 65, b"\1" * 128])
def test_rule_514_ecdsa_values_out_of_range_are_refused(value: bytes) -> None:
    refused(changed(signed(), text(".//ds:SignatureValue", base64.b64encode(value).decode())), "SignatureValue")


def test_rule_514_ecdsa_in_der_form_is_refused() -> None:
    root = etree.fromstring(signed())
    raw = base64.b64decode(one(root, ".//ds:SignatureValue").text or "")
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    refused(changed(signed(), text(".//ds:SignatureValue", base64.b64encode(der).decode())), "64 bytes")


@pytest.mark.parametrize("value", [b"", b"\0" * 256, b"\xff" * 256, b"\1" * 255, b"\1" * 257, b"\1" * 100_000])
def test_rule_514_rsa_values_that_do_not_hold_are_refused(value: bytes) -> None:
    data = changed(signed("rsa"), text(".//ds:SignatureValue", base64.b64encode(value).decode()))
    with pytest.raises(SignatureInvalid, match="SignatureValue"):
        verify(data, trusted=party("rsa").der)


@pytest.mark.parametrize("value", [b"", b"\0" * 31, b"\0" * 32, b"\0" * 33])
def test_rule_514_digests_that_do_not_match_are_refused_though_rightly_signed(value: bytes) -> None:
    def unrelated(root: etree._Element) -> None:
        one(root, ".//ds:DigestValue").text = base64.b64encode(value).decode()
        one(root, ".//ds:Reference").set("URI", "#elsewhere")

    data = etree.fromstring(forge(party("ec"), unrelated))
    refused(etree.tostring(data), "two references")
    refused(changed(signed(), text(".//ds:DigestValue", base64.b64encode(value).decode())), "SignatureValue")


def test_rule_514_a_digest_of_something_else_is_refused_though_rightly_signed() -> None:
    """The signer signed another element's digest under the right name."""
    root = etree.fromstring(forge(party("ec")))
    digest = base64.b64encode(hashlib.sha256(etree.tostring(root[0][2], method="c14n")).digest()).decode()
    one(root, ".//ds:DigestValue").text = digest
    info = one(root, ".//ds:SignedInfo")
    value = signature_value(party("ec"), f"{MORE}ecdsa-sha256", etree.tostring(info, method="c14n"))
    one(root, ".//ds:SignatureValue").text = base64.b64encode(value).decode()
    refused(etree.tostring(root), "digest of oadrSignedObject")


# KeyInfo


def certificate(*ders: bytes) -> Change:
    def change(root: etree._Element) -> None:
        data = one(root, ".//ds:X509Data")
        for old in data.findall("ds:X509Certificate", NS):
            data.remove(old)
        for der in ders:
            data.append(element(f"<ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate>"))

    return change


def test_rule_514_a_certificate_of_the_attacker_does_not_help() -> None:
    attacker = party("ec", "attacker")
    data = forge(attacker)
    refused(data, "not the one registered")
    both = changed(data, certificate(attacker.der, party("ec").der))
    refused(both, "SignatureValue")  # the registered one is named, but did not sign
    assert verify(data, trusted=attacker.der).message == POLL


def test_rule_514_a_cut_or_padded_certificate_is_another_certificate() -> None:
    der = party("ec").der
    for other in (der[:-1], der[:100], der[:1], b"", der + b"\0", b"\0" + der, der[::-1], b"\x30\x84\xff\xff\xff\xff"):
        refused(changed(signed(), certificate(other)), "not the one registered")


def test_a_giant_key_info_is_refused_before_any_work_on_it() -> None:
    asked: list[bytes] = []

    def registered(der: bytes) -> bool:
        asked.append(der)
        return True

    for ders in ([bytes(12_289)], [party("ec").der] * 9, [b"x"] * 20_000):
        with pytest.raises(SignatureInvalid, match="too many or too large"):
            verify(changed(signed(), certificate(*ders)), trusted=registered)
    assert asked == []
    assert check(changed(signed(), certificate(*[b"x"] * 7, party("ec").der))).message == POLL


# Comments, processing instructions, entities and other ways to cut a text in two


def split(by: str, *, place: str = ".//o:oadrPoll/e:venID") -> bytes:
    data = signed("ec", "VEN-123")
    root = etree.fromstring(data)
    value = one(root, place).text or ""
    middle = value[:5] + by + value[5:]
    return data.replace(f">{value}<".encode(), f">{middle}<".encode())


@pytest.mark.parametrize("by", ["<!-- -->", "<?x?>", "<?xml-stylesheet href='x'?>", "<!---->"])
@pytest.mark.parametrize(
    "place", [".//o:oadrPoll/e:venID", ".//dsp:nonce", ".//dsp:timestamp", ".//ds:KeyInfo//ds:X509SubjectName"]
)
def test_rule_514_a_comment_or_instruction_within_an_id_is_refused(place: str, by: str) -> None:
    data = split(by, place=place)
    assert data != signed("ec", "VEN-123")
    refused(data, "comments or processing instructions")


@pytest.mark.parametrize("comments", [True, False])
@pytest.mark.parametrize("make", [etree.Comment, lambda text: etree.ProcessingInstruction("x", text)])
@pytest.mark.parametrize("form", [C14N, f"{C14N}#WithComments"])
def test_rule_514_even_the_signer_may_not_put_comments_or_instructions(
    make: Callable[[str], etree._Element], form: str, comments: bool
) -> None:
    def note(root: etree._Element) -> None:
        one(root, ".//o:oadrPoll").append(make("note"))
        algorithm(".//ds:Transform", form)(root)

    refused(forge(party("ec"), note, comments=comments), "comments or processing instructions")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_comment_between_the_parts_of_the_payload_is_refused(at: int) -> None:
    refused(changed(signed(), lambda root: root.insert(at, etree.Comment("x"))), "comments")


def test_what_is_outside_the_payload_does_not_matter() -> None:
    data = signed().replace(b"?>\n", b"?>\n<!-- sent by a proxy --><?x?>") + b"<!-- end -->"
    assert check(data).message == POLL


@pytest.mark.parametrize("same", ["VEN-1<![CDATA[23]]>", "<![CDATA[VEN-123]]>", "VEN-1&#50;3", "VEN-&#x31;23"])
def test_other_spellings_of_the_same_text_are_the_same_message(same: str) -> None:
    data = signed("ec", "VEN-123").replace(b">VEN-123<", f">{same}<".encode())
    assert check(data).message == Poll(ven_id="VEN-123")


def test_entities_are_refused_before_anything_else() -> None:
    data = signed("ec", "VEN-123")
    for other in (
        data.replace(b">VEN-123<", b">VEN-1&x;23<"),
        data.replace(b"?>\n", b'?>\n<!DOCTYPE a [<!ENTITY x "">]>').replace(b">VEN-123<", b">VEN-1&x;23<"),
    ):
        with pytest.raises(NotXml):
            check(other)


# Namespaces


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<oadr:oadrPayload ", b'<oadr:oadrPayload xmlns:x="urn:x" '),  # in scope of what is signed, though unused
        (b"<oadr:oadrPayload ", b'<oadr:oadrPayload xmlns="urn:x" '),
        (b"<oadr:oadrSignedObject ", b'<oadr:oadrSignedObject xmlns:x="urn:x" '),
        (b"<oadr:oadrPoll ", b'<oadr:oadrPoll xmlns:x="urn:x" '),
        (b'xmlns:strm="urn:ietf', b'xmlns:strm="urn:other'),
        (b' xmlns:gml="http://www.opengis.net/gml/3.2"', b""),
        (b"<ds:SignedInfo>", b'<ds:SignedInfo xmlns:x="urn:x">'),
        (b"<ds:Object ", b'<ds:Object xmlns:x="urn:x" '),
        (b"<ds:Signature ", b'<ds:Signature xmlns:x="urn:x" '),
    ],
)
def test_rule_514_a_changed_namespace_in_scope_breaks_the_signature(old: bytes, new: bytes) -> None:
    data = signed()
    assert old in data
    refused(data.replace(old, new, 1))


def test_rule_514_a_prefix_bound_to_another_namespace_breaks_signature_or_schema() -> None:
    data = signed()
    for old, new in (
        (b"<ei:venID>", b'<ei:venID xmlns:ei="urn:x">'),
        (b"<oadr:oadrPoll ", b'<oadr:oadrPoll xmlns:ei="urn:x" '),
        (b"oadr:oadrPoll", b"o2:oadrPoll"),
    ):
        other = data.replace(old, new)
        if b"o2:" in new:
            other = other.replace(b"<oadr:oadrPayload ", f'<oadr:oadrPayload xmlns:o2="{OADR}" '.encode())
        with pytest.raises((SignatureInvalid, SchemaInvalid)):
            check(other)


def test_attributes_of_xml_that_signed_elements_would_inherit_are_not_let_in_by_the_schema() -> None:
    for name in ("lang", "space", "base"):
        for start in (b"<oadr:oadrPayload ", b"<ds:Signature "):
            with pytest.raises(SchemaInvalid):
                check(signed().replace(start, start + f'xml:{name}="x" '.encode()))


# Everything else, by chance


def same_or_refused(data: bytes) -> None:
    try:
        verified = check(data)
    except WireError:
        return
    assert (verified.message, verified.timestamp, verified.nonce) == (POLL, NOW, NONCE.hex())
    assert verified.certificate_der == party("ec").der


def test_any_single_flipped_bit_is_refused_or_without_meaning() -> None:
    data = signed()
    for bit in range(0, len(data) * 8, 7):  # 7 and 8 have no common divisor: every bit of a byte has its turn
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        same_or_refused(bytes(flipped))
    assert check(data).message == POLL


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_cut_and_paste_of_bytes_is_refused_or_without_meaning(draw: st.DataObject) -> None:
    data = bytearray(signed())
    for _ in range(draw.draw(st.integers(1, 3))):
        start = draw.draw(st.integers(0, len(data)))
        stop = draw.draw(st.integers(start, min(len(data), start + 200)))
        piece = draw.draw(st.binary(max_size=8) | st.sampled_from([b"", b" ", b"<!-- -->", b"&#32;", b"ven-666"]))
        data[start:stop] = piece
    same_or_refused(bytes(data))


@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_rearrangement_of_elements_is_refused_or_without_meaning(draw: st.DataObject) -> None:
    """Elements of two signed messages of one party moved, copied, removed and renamed at will: wrapping by chance."""
    root = etree.fromstring(signed())
    foreign = [*etree.fromstring(signed("ec", EVIL.ven_id, OTHER_NONCE)).iter()]
    for _ in range(draw.draw(st.integers(1, 4))):
        nodes = [*root.iter()]
        target = draw.draw(st.sampled_from(nodes))
        piece = draw.draw(st.sampled_from([*nodes[1:], *foreign, element('<x xmlns="urn:x" Id="x"/>')]))
        action = draw.draw(st.sampled_from(["copy", "move", "remove", "replace", "id"]))
        parent = piece.getparent()
        if action == "remove" and parent is not None and piece in nodes:
            parent.remove(piece)
        elif action == "replace" and target is not root:
            one(target, "..").replace(target, copy.deepcopy(piece))
        elif action == "id":
            names = [name for name in target.attrib if str(name).endswith("Id")]
            for name in names:
                target.set(name, draw.draw(st.sampled_from(["oadrSignedObject", "replayProtect", "evil"])))
        elif action in ("copy", "move") and target not in [*piece.iter()]:
            target.insert(draw.draw(st.integers(0, len(target))), piece if action == "move" else copy.deepcopy(piece))
    same_or_refused(etree.tostring(root))


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=300) | st.sampled_from(sorted(SAMPLES)).map(lambda name: wire.encode(SAMPLES[name])))
def test_bytes_that_are_no_signed_message_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        check(data)


def test_a_signed_message_of_another_party_is_refused_whole() -> None:
    data = sign(wire.encode(EVIL), party("ec", "attacker").signer, timestamp=NOW, nonce=NONCE)
    refused(data, "not the one registered")
