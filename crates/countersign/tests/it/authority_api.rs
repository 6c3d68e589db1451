//! The certificate authority over HTTP: what is issued, and how each refusal reads.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use crypto::merkle::leaf_hash;
use crypto::{KeyKind, Message, Scheme};
use devkit::issuer::{EmailUser, SignWith};
use evidence::Certificate;
use evidence::certificate::sct::{SCT_LIST, precertificate_signed_data};
use serde_json::{Value, json};
use testkit::json::{at, base64, every_field_wrong};
use testkit::log::pem;
use testkit::{Key, certificate, der};

use crate::instance::{
    EMAIL, Instance, Place, email_token, now, providers, workflow, workflow_challenge,
    workflow_spec, workflow_token,
};
use crate::trust::{Trust, leaf_hashes, verify_tree_head};
use crate::wire::{Answer, exchange};

pub(crate) const PATH: &str = "/api/v2/signingCert";

const INVALID_TOKEN: &str = "There was an error processing the identity token";
const INVALID_KEY: &str = "The public key supplied in the request could not be parsed";
const INSECURE_KEY: &str = "The public key supplied in the request is insecure";
const INVALID_CSR: &str = "The certificate signing request could not be parsed";
const INVALID_SIGNATURE: &str = "The signature supplied in the request could not be verified";

/// Made by OpenSSL 3.0.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC1uAEAeFangOVsKnCrmTzNoE+T
RpoRHz9s1535N2HzwWj+7zkg0ZSNYswttKZIa6sqQyu2YviY3jH0fkpbBHplcVD1
FaRp0Jp1JAOC8JQpkun7s4wC6fk0YjtoCPB30OM93Wh5Ouzb1qHnMWzQOYBv2CfD
BEgD/C4sbCAQPJFaJQIDAQAB
-----END PUBLIC KEY-----
";

fn key(kind: KeyKind) -> Key {
    Key::named("a requester", kind)
}

/// A request with a key and its signature over the token's subject.
fn with_key(key: &Key, challenge: &str) -> Value {
    json!({"publicKeyRequest": {
        "publicKey": {"algorithm": "ECDSA", "content": pem("PUBLIC KEY", &key.spki())},
        "proofOfPossession": base64(&key.sign(challenge.as_bytes())),
    }})
}

/// PKCS#10 (RFC 2986) with an empty subject and no attributes.
fn signing_request(key: &Key, signed_by: &Key) -> String {
    let info =
        der::sequence(&[&der::small(0), &der::sequence(&[]), &key.spki(), &der::context(0, &[])]);
    let algorithm = certificate::signature_algorithm(signed_by);
    let request = der::sequence(&[&info, &algorithm, &der::bits(&signed_by.sign(&info))]);
    pem("CERTIFICATE REQUEST", &request)
}

fn with_csr(key: &Key) -> Value {
    json!({"certificateSigningRequest": base64(signing_request(key, key).as_bytes())})
}

fn with_token(mut request: Value, token: &str) -> Value {
    request["credentials"] = json!({"oidcIdentityToken": token});
    request
}

#[track_caller]
fn post_with_header(instance: &Instance, request: &Value, authorization: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", authorization)];
    exchange(instance.address(), "POST", PATH, &headers, request.to_string().as_bytes()).unwrap()
}

/// The chain in an answer, the leaf first.
#[track_caller]
pub(crate) fn chain(answer: &Answer) -> Vec<Certificate> {
    let answer = answer.json();
    let certificates = &answer["signedCertificateEmbeddedSct"]["chain"]["certificates"];
    let certificates = certificates.as_array().unwrap_or_else(|| panic!("{answer}"));
    let parse = |text: &Value| {
        let text = text.as_str().unwrap();
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"), "{text}");
        // As Fulcio writes it here.
        assert!(text.ends_with("-----END CERTIFICATE-----"), "{text}");
        Certificate::parse(&crypto::pem::decode(text.as_bytes()).unwrap().1).unwrap()
    };
    certificates.iter().map(parse).collect()
}

/// A request for a certificate for the workflow.
pub(crate) fn certificate_request() -> Value {
    let request = with_key(&key(KeyKind::EcdsaP256), &workflow_challenge());
    with_token(request, &workflow_token())
}

/// A certificate for the workflow.
#[track_caller]
pub(crate) fn certificate(instance: &Instance) -> Certificate {
    chain(&instance.post(PATH, &certificate_request()).wanted(200)).remove(0)
}

/// What the CT log promised for a certificate: the index, and the leaf hash there.
#[track_caller]
pub(crate) fn promised(leaf: &Certificate, trust: &Trust) -> (u64, [u8; 32]) {
    let scts = leaf.certificate_timestamps().unwrap();
    let [sct] = &scts[..] else { panic!("{} promises", scts.len()) };
    assert_eq!(sct.log_id[..], trust.ct.id[..]);
    let issuer_key_hash = crypto::sha256(trust.authority[0].public_key().spki_der());
    let tbs = leaf.tbs_without(SCT_LIST).unwrap();
    let signed =
        precertificate_signed_data(sct.time, &issuer_key_hash, &tbs, &sct.extensions).unwrap();
    let signed = Message::Bytes(&signed);
    trust.ct.key.verify(Scheme::EcdsaP256Sha256, signed, &sct.signature).unwrap();
    // C2SP static-ct-api: leaf_index(0), five bytes.
    let (head, index) = sct.extensions.split_at(3);
    assert_eq!((head, index.len()), (&[0, 0, 5][..], 5));
    let index = index.iter().fold(0, |index, byte| index << 8 | u64::from(*byte));
    // RFC 6962 §3.4 `MerkleTreeLeaf`: v1, timestamped_entry, precert_entry.
    let size = u32::try_from(tbs.len()).unwrap().to_be_bytes();
    let extensions = u16::try_from(sct.extensions.len()).unwrap().to_be_bytes();
    let leaf = [
        &[0, 0][..],
        &sct.time.milliseconds().to_be_bytes(),
        &[0, 1],
        &issuer_key_hash,
        &size[1..],
        &tbs,
        &extensions,
        &sct.extensions,
    ];
    (index, leaf_hash(&leaf.concat()))
}

#[test]
fn a_certificate_is_issued_for_every_kind_of_key_and_either_proof() {
    let place = Place::new();
    let instance = place.start();
    let trust = instance.trust();
    let mut logged = Vec::new();
    for kind in [
        KeyKind::EcdsaP256,
        KeyKind::EcdsaP384,
        KeyKind::EcdsaP521,
        KeyKind::Rsa { bits: 2048 },
        KeyKind::Rsa { bits: 3072 },
        KeyKind::Rsa { bits: 4096 },
        KeyKind::Ed25519,
    ] {
        let key = key(kind);
        for request in [with_key(&key, &workflow_challenge()), with_csr(&key)] {
            let request = with_token(request, &workflow_token());
            let chain = chain(&instance.post(PATH, &request).wanted(200));
            let [leaf, intermediate, root] = &chain[..] else { panic!("{} long", chain.len()) };
            assert_eq!(intermediate.der(), trust.authority[0].der());
            assert_eq!(root.der(), trust.authority[1].der());
            assert_eq!(leaf.public_key(), key.public());
            let names: Vec<_> = leaf.names().iter().filter_map(|name| name.as_str()).collect();
            assert_eq!(names, [workflow().certificate_identity()]);
            let lifetime = leaf.not_after().seconds() - leaf.not_before().seconds();
            assert!((0..=600).contains(&lifetime), "{lifetime} s");
            logged.push(promised(leaf, &trust));
        }
    }
    let note = instance.get("/ct/checkpoint").wanted(200);
    let head = verify_tree_head(note.text(), &trust.ct);
    assert_eq!(head.size.0, logged.len() as u64);
    let hashes = leaf_hashes(&instance, "/ct", head.size.0);
    assert_eq!(crate::trust::root(&hashes), head.root);
    for (index, leaf) in logged {
        assert_eq!(hashes[usize::try_from(index).unwrap()], leaf);
    }
}

#[test]
fn a_person_gets_a_certificate_for_the_address_that_was_verified() {
    let place = Place::new();
    let instance = place.start();
    let key = key(KeyKind::EcdsaP256);
    // Clients sign the address where there is one; the subject will do as well.
    let subject = EmailUser::new(EMAIL).subject;
    for challenge in [EMAIL, &subject] {
        let request = with_token(with_key(&key, challenge), &email_token());
        let chain = chain(&instance.post(PATH, &request).wanted(200));
        let names: Vec<_> = chain[0].names().iter().filter_map(|name| name.as_str()).collect();
        assert_eq!(names, [EMAIL]);
    }
}

#[test]
fn the_token_may_stand_in_the_body_or_the_header_and_the_body_wins() {
    let place = Place::new();
    let instance = place.start();
    let request = with_csr(&key(KeyKind::EcdsaP256));
    let (good, bad) = (workflow_token(), "not.a.token");
    for scheme in ["Bearer", "bearer", "BEARER"] {
        post_with_header(&instance, &request, &format!("{scheme} {good}")).wanted(200);
    }
    let both = |body: &str, header: &str| {
        post_with_header(&instance, &with_token(request.clone(), body), &format!("Bearer {header}"))
    };
    both(&good, bad).wanted(200);
    refused(&both(bad, &good), INVALID_TOKEN);
    // An empty one is none.
    both("", &good).wanted(200);
    refused(&post_with_header(&instance, &request, &format!("Basic {good}")), INVALID_TOKEN);
}

#[test]
fn a_request_is_read_as_protobuf_json_is() {
    let place = Place::new();
    let instance = place.start();
    let key = key(KeyKind::EcdsaP256);
    let request = with_token(with_key(&key, &workflow_challenge()), &workflow_token());
    let mut text = request.to_string();
    for (camel_case, original) in [
        ("oidcIdentityToken", "oidc_identity_token"),
        ("publicKeyRequest", "public_key_request"),
        ("publicKey", "public_key"),
        ("proofOfPossession", "proof_of_possession"),
    ] {
        text = text.replace(&format!("\"{camel_case}\""), &format!("\"{original}\""));
    }
    instance.post(PATH, &serde_json::from_str(&text).unwrap()).wanted(200);

    let csr = with_token(with_csr(&key), &workflow_token());
    let text = csr.to_string().replace("certificateSigningRequest", "certificate_signing_request");
    instance.post(PATH, &serde_json::from_str(&text).unwrap()).wanted(200);

    // `bytes` in the other alphabet, without padding; unknown members; null for what is not there.
    let mut request = request;
    let proof = at(&mut request, "/publicKeyRequest/proofOfPossession");
    *proof = URL_SAFE_NO_PAD.encode(STANDARD.decode(proof.as_str().unwrap()).unwrap()).into();
    request["certificateSigningRequest"] = Value::Null;
    request["unknown"] = json!({"a": 1});
    instance.post(PATH, &request).wanted(200);
}

/// Checks that it is Fulcio's answer, to the letter.
#[track_caller]
fn refused(answer: &Answer, message: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.json(), json!({"code": 3, "message": message, "details": []}));
}

#[test]
fn a_token_that_proves_nothing_is_refused_in_fulcios_words() {
    let place = Place::new();
    let instance = place.start();
    let issuer = &providers().workflows;
    let sign = |spec| issuer.sign(&spec).unwrap();
    let stranger = providers().strangers.mint(&workflow(), "sigstore").unwrap();
    let posing = {
        // A stranger's signature under a trusted name.
        let spec = providers().strangers.spec(&workflow(), "sigstore").claim("iss", issuer.url());
        providers().strangers.sign(&spec).unwrap()
    };
    let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let claims = encode(&Value::Object(workflow_spec().claims().clone()).to_string());
    let tokens = [
        ("empty", String::new()),
        ("no token", "token".to_owned()),
        ("two parts", format!("{}.{claims}", encode(r#"{"alg":"ES256"}"#))),
        ("five parts, as encrypted ones have", ["e30"; 5].join(".")),
        ("expired", sign(workflow_spec().shifted(-3600))),
        ("of the future", sign(workflow_spec().shifted(3600))),
        ("without an end", sign(workflow_spec().without_claim("exp"))),
        ("an end that is a text", sign(workflow_spec().claim("exp", "9999999999"))),
        ("for somebody else", sign(workflow_spec().claim("aud", "somebody-else"))),
        ("without an audience", sign(workflow_spec().without_claim("aud"))),
        ("without a subject", sign(workflow_spec().without_claim("sub"))),
        ("of an unknown issuer", stranger),
        ("of an unknown key", posing),
        ("of an issuer that is no URL", sign(workflow_spec().claim("iss", "localhost"))),
        ("without a signature", sign(workflow_spec().signed_with(SignWith::Nobody))),
        ("with an unpublished key", sign(workflow_spec().signed_with(SignWith::UnpublishedKey))),
        ("with a key it brings", sign(workflow_spec().signed_with(SignWith::KeyInHeader))),
        (
            "with the public key as secret",
            sign(workflow_spec().signed_with(SignWith::HmacOfPublicKey)),
        ),
        ("with a header that is critical", sign(workflow_spec().header("crit", json!(["b64"])))),
        ("of 16 KiB", ".".repeat(16 * 1024)),
        ("with a changed claim", {
            let honest = workflow_token();
            let parts: Vec<_> = honest.split('.').collect();
            let spec = workflow_spec().claim("repository", "octo-org/other");
            let claims = encode(&Value::Object(spec.claims().clone()).to_string());
            format!("{}.{claims}.{}", parts[0], parts[2])
        }),
    ];
    for (what, token) in tokens {
        let key = key(KeyKind::EcdsaP256);
        for request in [with_key(&key, &workflow_challenge()), with_csr(&key)] {
            let answer = instance.post(PATH, &with_token(request, &token));
            assert_eq!(answer.status, 400, "a token {what}: {}", answer.text());
            refused(&answer, INVALID_TOKEN);
        }
    }
    refused(&instance.post(PATH, &with_csr(&key(KeyKind::EcdsaP256))), INVALID_TOKEN);
    // Nothing of it was logged.
    let head = verify_tree_head(instance.get("/ct/checkpoint").text(), &instance.trust().ct);
    assert_eq!(head.size.0, 0);
}

#[test]
fn an_address_that_was_not_verified_is_refused() {
    let place = Place::new();
    let instance = place.start();
    let people = &providers().people;
    let user = EmailUser { email_verified: false, ..EmailUser::new(EMAIL) };
    let token = people.mint(&user, "sigstore").unwrap();
    let request = with_token(with_key(&key(KeyKind::EcdsaP256), EMAIL), &token);
    refused(&instance.post(PATH, &request), INVALID_TOKEN);
    let spec = people.spec(&EmailUser::new(EMAIL), "sigstore").without_claim("email");
    let token = people.sign(&spec).unwrap();
    let request = with_token(with_csr(&key(KeyKind::EcdsaP256)), &token);
    let answer = instance.post(PATH, &request).wanted(400);
    assert!(answer.message().contains("email"), "{}", answer.text());
}

#[test]
fn a_key_whose_holder_is_not_shown_is_refused_in_fulcios_words() {
    let place = Place::new();
    let instance = place.start();
    let (key, other) = (key(KeyKind::EcdsaP256), Key::named("another", KeyKind::EcdsaP256));
    let challenge = workflow_challenge();
    let request = |content: &str, proof: &str| {
        json!({"publicKeyRequest": {
            "publicKey": {"content": content},
            "proofOfPossession": proof,
        }})
    };
    let key_pem = pem("PUBLIC KEY", &key.spki());
    let proof = base64(&key.sign(challenge.as_bytes()));
    let csr = |pem: &str| json!({"certificateSigningRequest": base64(pem.as_bytes())});
    let honest = signing_request(&key, &key);
    let cases = [
        ("nothing", json!({}), INVALID_KEY),
        ("no key", json!({"publicKeyRequest": {"proofOfPossession": proof}}), INVALID_KEY),
        ("an empty key", request("", &proof), INVALID_KEY),
        ("no PEM", request("key", &proof), INVALID_KEY),
        ("a broken key", request(&pem("PUBLIC KEY", &[0x30, 0]), &proof), INVALID_KEY),
        ("a private key", request(&key.pair().to_pem().unwrap(), &proof), INVALID_KEY),
        ("a short RSA key", request(RSA_1024, &proof), INSECURE_KEY),
        ("no proof", request(&key_pem, ""), INVALID_SIGNATURE),
        ("a proof not in base64", request(&key_pem, "***"), INVALID_SIGNATURE),
        (
            "a proof of another key",
            request(&pem("PUBLIC KEY", &other.spki()), &proof),
            INVALID_SIGNATURE,
        ),
        (
            "a proof over something else",
            request(&key_pem, &base64(&key.sign(b"somebody else"))),
            INVALID_SIGNATURE,
        ),
        ("a request not in base64", json!({"certificateSigningRequest": "***"}), INVALID_CSR),
        ("a request not in PEM", csr("request"), INVALID_CSR),
        ("a broken request", csr(&pem("CERTIFICATE REQUEST", &[0x30, 0])), INVALID_CSR),
        ("a certificate", csr(&honest.replace("CERTIFICATE REQUEST", "CERTIFICATE")), INVALID_CSR),
        ("a request by another key", csr(&signing_request(&key, &other)), INVALID_SIGNATURE),
    ];
    for (what, request, message) in cases {
        let answer = instance.post(PATH, &with_token(request, &workflow_token()));
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.json()["message"], message, "{what}");
        refused(&answer, message);
    }
    let mut both = with_key(&key, &challenge);
    both["certificateSigningRequest"] = base64(honest.as_bytes()).into();
    let answer = instance.post(PATH, &with_token(both, &workflow_token())).wanted(400);
    assert!(answer.message().contains("found both"), "{}", answer.text());
}

/// Whatever is wrong with a request, it is the requester's fault.
/// Serde would read a list as the object, field by field.
#[test]
fn a_list_in_the_place_of_an_object_is_a_bad_request() {
    let place = Place::new();
    let instance = place.start();
    let whole = certificate_request();
    instance.post(PATH, &whole).wanted(200);
    let (credentials, key) = (&whole["credentials"], &whole["publicKeyRequest"]);
    let mut lists = vec![json!([credentials, key, null])];
    for (pointer, list) in [
        ("/credentials", json!([credentials["oidcIdentityToken"]])),
        ("/publicKeyRequest", json!([key["publicKey"], key["proofOfPossession"]])),
        ("/publicKeyRequest/publicKey", json!([key["publicKey"]["content"]])),
    ] {
        let mut request = whole.clone();
        *at(&mut request, pointer) = list;
        lists.push(request);
    }
    for request in lists {
        let answer = instance.post(PATH, &request).wanted(400);
        assert!(answer.message().starts_with("the request is not one: "), "{}", answer.text());
    }
}

#[test]
fn every_field_wrong_in_every_way_is_a_bad_request() {
    let place = Place::new();
    let instance = place.start();
    let key = key(KeyKind::EcdsaP256);
    let mut sent = 0;
    for request in [with_key(&key, &workflow_challenge()), with_csr(&key)] {
        for wrong in every_field_wrong(&with_token(request, &workflow_token())) {
            let answer = instance.post(PATH, &wrong.document);
            sent += 1;
            // Fulcio ignores it as well; and an oversize list of it is too long as a whole.
            if wrong.pointer == "/publicKeyRequest/publicKey/algorithm" && answer.status == 200 {
                continue;
            }
            let (what, how) = (&wrong.pointer, wrong.how);
            assert!([400, 413].contains(&answer.status), "{what} is {how}: {}", answer.text());
            assert!(answer.message().len() < 400, "{what} is {how}: {}", answer.text());
        }
    }
    println!("{sent} wrong requests");
    for body in [&b""[..], b"null", b"[]", b"{", b"\xff", b"7", b"\"text\""] {
        let answer = exchange(instance.address(), "POST", PATH, &[], body).unwrap();
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    certificate(&instance);
}

#[test]
fn the_chain_and_the_issuers_can_be_asked_for() {
    let place = Place::new();
    let instance = place.start();
    let bundle = instance.get("/api/v2/trustBundle").wanted(200).json();
    let [chain] = &bundle["chains"].as_array().unwrap()[..] else { panic!("{bundle}") };
    let certificates: Vec<_> = chain["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pem| {
            // Here, unlike there, each ends with a line feed, as in Fulcio.
            let pem = pem.as_str().unwrap();
            assert!(pem.ends_with("-----END CERTIFICATE-----\n"));
            crypto::pem::decode(pem.as_bytes()).unwrap().1
        })
        .collect();
    let trusted: Vec<_> =
        instance.trust().authority.iter().map(|certificate| certificate.der().to_vec()).collect();
    assert_eq!(certificates, trusted);

    let configuration = instance.get("/api/v2/configuration").wanted(200).json();
    let issuers = configuration["issuers"].as_array().unwrap();
    let found: Vec<_> = issuers
        .iter()
        .map(|issuer| {
            let text = |name: &str| issuer[name].as_str().unwrap().to_owned();
            (text("issuerUrl"), text("audience"), text("challengeClaim"), text("issuerType"))
        })
        .collect();
    let wanted = [
        (providers().workflows.url(), "sub", "ci-provider"),
        (providers().people.url(), "email", "email"),
    ]
    .map(|(url, claim, kind)| {
        (url.to_owned(), "sigstore".to_owned(), claim.to_owned(), kind.to_owned())
    });
    assert_eq!(found, wanted);
}

/// The promise is made by the log's clock, before the certificate leaves.
#[test]
fn a_certificate_begins_when_it_is_issued() {
    let place = Place::new();
    let instance = place.start();
    let before = now().seconds();
    let leaf = certificate(&instance);
    let after = now().seconds();
    assert!((before..=after).contains(&leaf.not_before().seconds()));
    let sct = &leaf.certificate_timestamps().unwrap()[0];
    assert!((before..=after).contains(&sct.time.seconds()));
}
