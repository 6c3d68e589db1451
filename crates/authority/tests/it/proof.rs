//! Proof of possession: who holds which key, by signature or by request.

use authority::Identity;
use authority::issue::proof::{Applicant, Proof, ProofError, SigningAlgorithm};
use authority::issuer::IssuerKind;
use crypto::{KeyKind, KeyPair, Message, ParseKeyError, Scheme, Signer};
use der::asn1::{Any, BitString};
use der::{Decode, Encode, Sequence, Tag};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::world::{Provider, claims, claims_with, github, github_claims};

const P224: &str = "-----BEGIN PUBLIC KEY-----
ME4wEAYHKoZIzj0CAQYFK4EEACEDOgAEZFNFCV31asFvE7Jy5q95Oipai+IJkRmO
8MLnfnKJF0DAJ8BO//zQcVYl04pGb5ovfgm30bcVlSs=
-----END PUBLIC KEY-----
";
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/FUgOc1AXoIcUVuH5396N9TaR
oHSNAKZ+Csqe3yusapcl5UOMAx8RYoQnwZp+/2w1np0a2AeYCYc0+v13+lOReEBV
r9//+zbPoCN304IA/FDnNnXKQ5Ygbs5bARppekpm3gs1+APMjXxp67us5dm17mzk
l/VVb50t2frpU0HXJwIDAQAB
-----END PUBLIC KEY-----
";
const RSA_2560: &str = "-----BEGIN PUBLIC KEY-----
MIIBYjANBgkqhkiG9w0BAQEFAAOCAU8AMIIBSgKCAUEAz/7ii63ncEmlU6jDCv5W
EScM8QvQjd6nE+7XP/h4nqDBgi9E8irEa8fe8vXWvh3vTmvV8fHawZ3Lu28jnw7D
xDSIazDHgWuNJuL/wlqrXq5sKap4Qx8luOGZS6yvi8Iy/7D26/tdOAn2EUlf4b6p
jHZWzRBT9rZmTIcxjUTxKBnb/tDahxhOn+F8mapTnlu3P3jXJC6eHMN0O3URFm9u
JD37JDvnpgarWc0C6LDI7gXA4ONET+Ef7WYkKP2+8I04S868ZvL5/wmWohBzO1MC
Fbu+7VU81sf4BbgqvTgbkvjROSgWKN6wCnJslXFKceF2vf/yjEHnXoYWaKWaLDfD
+9QnMRaR8DB340y89XZAlXtDnGTj4NS5Y3uTM3jDKH2R9zCdW9873TczNhtdIXuE
JOkzjwOdkCVbpP+ijUrM8qECAwEAAQ==
-----END PUBLIC KEY-----
";
const RSA_EXPONENT_3: &str = "-----BEGIN PUBLIC KEY-----
MIIBIDANBgkqhkiG9w0BAQEFAAOCAQ0AMIIBCAKCAQEAoHBZIIpXeKqDDeETJvz5
6uGzCrxY/7h9yPW1cedHfIHGNWv+4nfjHwJfZQpYiEioBUtDVjmi4L6WpFUrxXAY
DqFLBq9tbSJYOzKIOucU0druhOcO7JhV4wXrz7lz7NmyhvNh7wUk4GjFjbJtpNBL
DU16hWb1hgshCeRrP+2ymmFx8W/M9olSoJuh2XR1SfC9iFPU0j5074xiSaYd4/CY
UVCz/Pdyj6ol6udUDbKP/lHlmL3/S7mwjY8wYEVI0fptO72edbJm/+gMCDoYG599
aT4BU4VAz7TJc4S0cI+xFo9y+MyubXT6ya8NklPWMD7k33534ecZuqvCnUjk2xIo
swIBAw==
-----END PUBLIC KEY-----
";
/// By `openssl req -new -newkey rsa:2048 -sha256`.
const RSA_REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIICUTCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP
ADCCAQoCggEBAMkur9aIJhc7WfRa4gB15xZLWch3Uz7HeQzR8s67AHPEMvMucLy1
ONbV4+feICjFa3zybsnj2DUz399Wy7sceSVhrPoeTqA9etCLQDHtr6TQSQGTjibJ
88LyIrkwDB4gCNZ1DKgRl/o9o9fMLuCl/B8nPxVTHajy7GvXngFA+QPpyzBBHyOW
47/UvWGUuVwrvwmGsaNHWDU08zEMa9uHGBwCB/JkXlpnXf+8xHpB8GdDs/7eN0nj
hZvu8iY414PW5BSPWZAD1k2kHdlQ5ogeaNxs17sOengIPspdh1m/go7IOXb8aCxV
ZPFg8RTeF5fp0mzfOLOP3ckUqz6Pdcmh8ikCAwEAAaAAMA0GCSqGSIb3DQEBCwUA
A4IBAQCawhnV5OSslunJgRbmc3KwxMRDeEPvQETyhRZRv5/4gON/EE/59g7j+FgE
qd/GK9ch4NTZbrot/tM+7sFsGCq88NMHWSWLg9ubWwRLYURI2UxVWSeqJ5DMBrx1
uSOg7pdB12ulI3tRi/Wrkb2jzb91OUf+dlakihDQWgTBP7Jf9XTNqmcMJqVnkGW9
1AjzNfbW3rTVnEGWs2SwqpPZuAnCzUxTJZTLIHdgRRa0MdjbJ3UPRwo06ZQLGBo8
66MDUMsASVVlRmoTldSiaJDjKAEntx0PAufCDfiVfqa3TWG8b8QBzr03IY2AJtir
6uYYFfqdaoAbBRg4Js5uTlYA12EC
-----END CERTIFICATE REQUEST-----
";
/// The same with `-sigopt rsa_padding_mode:pss`.
const PSS_REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIIChjCCATkCAQAwDDEKMAgGA1UEAwwBeDCCASIwDQYJKoZIhvcNAQEBBQADggEP
ADCCAQoCggEBALUH4/q4d+/2hmSELekkaDjyevGnBSzkVvJh19p5YZpF90xtCbM0
KD4Hd8AoaVBzqvpV5993ELy1600bgKzeyjv0ETDh37lE10BJcbaWa3Si17spSo9q
QW+sBFW7SQbPaRd311DTtwdcH1YDH+xH+FxBLj/UrvimqVRyiYd87m9x73ZSUcJu
57EcZTFDgQ3SeaNdi/u8VPGpm+N5/1XVUTQEQ6oYLb1Go4mG3MRWEnhxUdCLTuGA
T2w7RqBTAewqEsMoMQ84fSpF4EDyjJre6aNrr20dLyaFTeRn02NT3KS+g+OSP6Va
g+jayS/y9Mkitq57brzgPKp2sTd88MaLotMCAwEAAaAAMEIGCSqGSIb3DQEBCjA1
oA8wDQYJYIZIAWUDBAIBBQChHDAaBgkqhkiG9w0BAQgwDQYJYIZIAWUDBAIBBQCi
BAICAN4DggEBAHa75p0Xqpz1a7nqvmV6atoXzjifD3FkKUNY6qJmVxcx6NcA0bt+
UVaCfN3ICfOWVoq+3DGqJiHSUdIIDQeCfE7sW725POw/hv2fAt0P6lSYvFO3ffjt
tDtwKZ423T9L6KNZIwFIK0LpCWDk3CY04ab8Bf+mdxoG43Ky4OHdlUGxyyi90Re0
aUFjttVFG3VaxPELDRuJvRIapMISKtuW+dUeKSbMXdENkWAYzn8ujrTSEc+O4t0h
kwCgAxAGQdRRY5gHE6bjitXCXJ4eqgl/Xm9vqOFjW4EPXyz0D0LDIevt3N4SV1m4
t6HqHxnGQFJIz2i6Kshv9LWltal0iNUXyZc=
-----END CERTIFICATE REQUEST-----
";

fn alice() -> Identity {
    Identity::of(&Provider::email().verify_claims(&claims()).unwrap()).unwrap()
}

fn prove(identity: Identity, proof: Proof<'_>) -> Result<Applicant, ProofError> {
    Applicant::prove(identity, proof, &SigningAlgorithm::ALL)
}

fn prove_over(identity: Identity, key: &KeyPair, text: &str) -> Result<Applicant, ProofError> {
    let signature = key.sign_bytes(text.as_bytes()).unwrap();
    let public_key = key.public_key().spki_der();
    prove(identity, Proof::Signature { public_key, signature: &signature })
}

/// A key of each kind that Fulcio certifies.
const KINDS: [KeyKind; 5] = [
    KeyKind::EcdsaP256,
    KeyKind::EcdsaP384,
    KeyKind::EcdsaP521,
    KeyKind::Rsa { bits: 2048 },
    KeyKind::Ed25519,
];

#[test]
fn a_signature_over_the_name_proves_the_key() {
    for kind in KINDS {
        let key = KeyPair::generate(kind).unwrap();
        let applicant = prove_over(alice(), &key, "alice@example.com").unwrap();
        assert_eq!(applicant.key(), key.public_key());
        assert_eq!(applicant.identity(), &alice());
    }
}

/// sigstore-go and sigstore-js sign `email` whenever there is one; Fulcio wants `sub` of builds.
#[test]
fn either_verified_claim_will_do() {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    assert!(prove_over(alice(), &key, "alice").is_ok());
    let mut claims = github_claims();
    claims["email"] = "bot@example.com".into();
    let identity = |claims: &serde_json::Value| {
        Identity::of(&Provider::new(github()).verify_claims(claims).unwrap()).unwrap()
    };
    // Not verified by the issuer, so it is nobody's name.
    let error = prove_over(identity(&claims), &key, "bot@example.com").unwrap_err();
    assert_eq!(error, ProofError::BadSignature);
    claims["email_verified"] = true.into();
    assert!(prove_over(identity(&claims), &key, "bot@example.com").is_ok());
    assert!(prove_over(identity(&claims), &key, claims["sub"].as_str().unwrap()).is_ok());
}

#[test]
fn a_signature_over_anything_else_proves_nothing() {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    for text in ["", "Alice", "alice ", "bob@example.com", "alice@example.com\n"] {
        assert_eq!(
            prove_over(alice(), &key, text).unwrap_err(),
            ProofError::BadSignature,
            "{text}"
        );
    }
    let other = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let signature = other.sign_bytes(b"alice").unwrap();
    for signature in [&signature[..], &[], &[0x30, 0x00], &[0; 64]] {
        let public_key = key.public_key().spki_der();
        let error = prove(alice(), Proof::Signature { public_key, signature }).unwrap_err();
        assert_eq!(error, ProofError::BadSignature);
        assert_eq!(
            error.wire().message,
            "The signature supplied in the request could not be verified"
        );
        assert_eq!(error.wire().status, 400);
    }
}

#[test]
fn a_key_comes_as_pem_or_der() {
    let key = KeyPair::generate(KeyKind::Rsa { bits: 2048 }).unwrap();
    let signature = key.sign_bytes(b"alice").unwrap();
    let public = key.public_key();
    let pkcs1 = pem("RSA PUBLIC KEY", &public.raw_bytes());
    // Lines may be of any one width: Java's encoder breaks them at 76.
    let base64: String = pkcs1.lines().filter(|line| !line.starts_with('-')).collect();
    let lines: Vec<_> =
        base64.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let wide = format!(
        "-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n",
        lines.join("\n")
    );
    let usual = public.to_pem();
    let crlf = usual.replace('\n', "\r\n");
    for public_key in [
        usual.as_bytes(),
        usual.trim_end().as_bytes(),
        crlf.as_bytes(),
        public.spki_der(),
        pkcs1.as_bytes(),
        wide.as_bytes(),
    ] {
        let proof = Proof::Signature { public_key, signature: &signature };
        assert_eq!(prove(alice(), proof).unwrap().key(), public);
    }
}

#[test]
fn keys_that_are_none_are_told_apart_from_weak_ones() {
    let error = |public_key: &str| {
        let proof = Proof::Signature { public_key: public_key.as_bytes(), signature: b"x" };
        prove(alice(), proof).unwrap_err()
    };
    let private = KeyPair::generate(KeyKind::EcdsaP256).unwrap().to_pem().unwrap();
    for key in
        ["", "x", P224, &private, "-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"]
    {
        let error = error(key);
        assert!(matches!(error, ProofError::Key(_)), "{key}: {error}");
        assert_eq!(
            error.wire().message,
            "The public key supplied in the request could not be parsed"
        );
    }
    for key in [RSA_1024, RSA_2560, RSA_EXPONENT_3] {
        let error = error(key);
        assert!(matches!(error, ProofError::Insecure { .. }), "{error}");
        assert_eq!(error.wire().message, "The public key supplied in the request is insecure");
    }
    let long = "x".repeat(1 << 20);
    let long_pkcs1 = format!("-----BEGIN RSA PUBLIC KEY-----\n{long}");
    for key in [&long, &long_pkcs1] {
        assert!(matches!(error(key), ProofError::Key(ParseKeyError::TooLong { .. })));
    }
}

#[test]
fn keys_may_be_limited_to_some_algorithms() {
    let key = KeyPair::generate(KeyKind::Ed25519).unwrap();
    let signature = key.sign_bytes(b"alice").unwrap();
    let proof = Proof::Signature { public_key: key.public_key().spki_der(), signature: &signature };
    let allowed = [SigningAlgorithm::EcdsaP256];
    let error = Applicant::prove(alice(), proof, &allowed).unwrap_err();
    assert!(matches!(error, ProofError::NotPermitted { kind: KeyKind::Ed25519, .. }));
    assert!(error.wire().message.starts_with("signing algorithm not permitted: "));
    assert!(Applicant::prove(alice(), proof, &[SigningAlgorithm::Ed25519]).is_ok());
    // Ed25519ph is another algorithm, over which pure Ed25519 says nothing.
    let signature = key.sign(Scheme::Ed25519ph, Message::Bytes(b"alice")).unwrap();
    let proof = Proof::Signature { public_key: key.public_key().spki_der(), signature: &signature };
    assert_eq!(prove(alice(), proof).unwrap_err(), ProofError::BadSignature);
}

#[test]
fn algorithms_have_the_names_of_the_registry() {
    let names = SigningAlgorithm::ALL.map(SigningAlgorithm::name);
    assert_eq!(names[0], "ecdsa-sha2-256-nistp256");
    assert_eq!(names[5], "rsa-sign-pkcs1-4096-sha256");
}

#[derive(Sequence)]
struct RequestInfo {
    version: u8,
    subject: Any,
    key: Any,
    attributes: Any,
}

#[derive(Sequence)]
struct Request {
    info: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// A PKCS#10 request, signed with the scheme that `oid` names.
fn request(key: &KeyPair, scheme: Scheme, oid: &str, version: u8) -> Vec<u8> {
    let attributes_tag = Tag::ContextSpecific { constructed: true, number: der::TagNumber(0) };
    let info = RequestInfo {
        version,
        subject: Any::new(Tag::Sequence, []).unwrap(),
        key: Any::from_der(key.public_key().spki_der()).unwrap(),
        attributes: Any::new(attributes_tag, []).unwrap(),
    };
    let info = info.to_der().unwrap();
    let signature = key.sign(scheme, Message::Bytes(&info)).unwrap();
    let request = Request {
        info: Any::from_der(&info).unwrap(),
        algorithm: AlgorithmIdentifierOwned { oid: oid.parse().unwrap(), parameters: None },
        signature: BitString::from_bytes(&signature).unwrap(),
    };
    request.to_der().unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    crypto::pem::encode(label, der)
}

const CSR: &str = "CERTIFICATE REQUEST";

#[test]
fn a_request_proves_its_key() {
    for (kind, scheme, oid) in [
        (KeyKind::EcdsaP256, Scheme::EcdsaP256Sha256, "1.2.840.10045.4.3.2"),
        (KeyKind::EcdsaP384, Scheme::EcdsaP384Sha384, "1.2.840.10045.4.3.3"),
        (KeyKind::EcdsaP521, Scheme::EcdsaP521Sha512, "1.2.840.10045.4.3.4"),
        (KeyKind::Rsa { bits: 2048 }, Scheme::RsaPkcs1Sha256, "1.2.840.113549.1.1.11"),
        (KeyKind::Ed25519, Scheme::Ed25519, "1.3.101.112"),
    ] {
        let key = KeyPair::generate(kind).unwrap();
        let der = request(&key, scheme, oid, 0);
        for label in [CSR, "NEW CERTIFICATE REQUEST"] {
            let applicant = prove(alice(), Proof::Request(pem(label, &der).as_bytes())).unwrap();
            assert_eq!(applicant.key(), key.public_key());
        }
    }
    assert!(prove(alice(), Proof::Request(RSA_REQUEST.as_bytes())).is_ok());
}

#[test]
fn a_request_by_another_key_proves_nothing() {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let der = request(&key, Scheme::EcdsaP256Sha256, "1.2.840.10045.4.3.2", 0);
    let outcome = |der: &[u8]| prove(alice(), Proof::Request(pem(CSR, der).as_bytes()));
    assert!(outcome(&der).is_ok());
    // Somebody else's key, put into this request.
    let other = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let (mine, theirs) = (key.public_key().spki_der(), other.public_key().spki_der());
    let start = der.windows(mine.len()).position(|window| window == mine).unwrap();
    let mut stolen = der.clone();
    stolen[start..start + theirs.len()].copy_from_slice(theirs);
    assert_eq!(outcome(&stolen).unwrap_err(), ProofError::BadSignature);
    // PSS, which Fulcio does not take, and an algorithm that does not fit the key.
    let pss = prove(alice(), Proof::Request(PSS_REQUEST.as_bytes()));
    assert_eq!(pss.unwrap_err(), ProofError::BadSignature);
    let misnamed = request(&key, Scheme::EcdsaP256Sha256, "1.2.840.113549.1.1.11", 0);
    assert_eq!(outcome(&misnamed).unwrap_err(), ProofError::BadSignature);
}

#[test]
fn malformed_requests_are_refused() {
    let key = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let der = request(&key, Scheme::EcdsaP256Sha256, "1.2.840.10045.4.3.2", 0);
    let version_1 = request(&key, Scheme::EcdsaP256Sha256, "1.2.840.10045.4.3.2", 1);
    let trailing = [&der[..], &[0]].concat();
    let long = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A".repeat(1 << 20));
    for request in [
        String::new(),
        "x".to_owned(),
        pem("CERTIFICATE", &der),
        pem(CSR, &[]),
        pem(CSR, &der[..der.len() - 1]),
        pem(CSR, &trailing),
        pem(CSR, &version_1),
        long,
    ] {
        let error = prove(alice(), Proof::Request(request.as_bytes())).unwrap_err();
        assert!(matches!(error, ProofError::Request { .. }), "{error}");
        assert_eq!(error.wire().message, "The certificate signing request could not be parsed");
    }
    let long = format!("-----BEGIN CERTIFICATE REQUEST-----\n{}", "A".repeat(16 * 1024));
    let error = prove(alice(), Proof::Request(long.as_bytes())).unwrap_err();
    assert_eq!(error, ProofError::Request { why: "it is longer than 16 KiB" });
    for end in 0..der.len() {
        assert!(prove(alice(), Proof::Request(pem(CSR, &der[..end]).as_bytes())).is_err());
    }
    for position in 0..der.len() {
        let mut changed = der.clone();
        changed[position] ^= 0x41;
        assert!(prove(alice(), Proof::Request(pem(CSR, &changed).as_bytes())).is_err());
    }
}

#[test]
fn an_empty_subject_is_never_a_challenge() {
    // A token without a subject does not get here; the address alone does not stand in for it.
    let claims = claims_with("email_verified", false.into());
    let token = Provider::new(IssuerKind::Email).verify_claims(&claims).unwrap();
    assert!(Identity::of(&token).is_err());
}
