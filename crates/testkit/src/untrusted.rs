//! Trust roots that must not be taken.

use crypto::KeyKind;
use serde_json::{Value, json};

use crate::certificate::{
    self, CODE_SIGNING, DIGITAL_SIGNATURE, ExtensionDraft, KEY_CERT_SIGN, KEY_USAGE, TIME_STAMPING,
};
use crate::clock::{NOW, rfc3339};
use crate::der;
use crate::instance::Instance;
use crate::json::{at, remove};
use crate::key::Key;

/// Trust roots that must not be taken, with what is wrong with each.
#[must_use]
pub fn all() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Instance)| {
        let mut instance = Instance::default();
        change(&mut instance);
        all.push((name, instance.trust_root(&instance.issue())));
    };
    add("an intermediate with too long a path below it", &|instance| {
        instance.authorities[1].put(ExtensionDraft::authority(Some(0)));
    });
    add("an issuing authority without the authority's mark", &|instance| {
        instance.authorities[0].remove(certificate::BASIC_CONSTRAINTS);
    });
    add("an issuing authority that may not sign certificates", &|instance| {
        instance.authorities[0].put(ExtensionDraft::key_usage(&[DIGITAL_SIGNATURE]));
    });
    add("an issuing authority for timestamps", &|instance| {
        instance.authorities[0].put(ExtensionDraft::extended_key_usage(&[TIME_STAMPING], false));
    });
    add("an issuing authority with an unknown critical extension", &|instance| {
        let unknown = ExtensionDraft::new("1.3.6.1.4.1.99999.5", true, der::null());
        instance.authorities[0].put(unknown);
    });
    add("an issuing authority with a malformed usage", &|instance| {
        instance.authorities[0].put(ExtensionDraft::new(KEY_USAGE, true, vec![1]));
    });
    add("an issuing authority that the root did not sign", &|instance| {
        instance.authorities[0].signed_by = Key::named("forger", KeyKind::EcdsaP384);
    });
    add("an issuing authority with a damaged signature", &|instance| {
        instance.authorities[0].damaged = true;
    });
    add("an issuing authority of another issuer", &|instance| {
        instance.authorities[0].issuer = der::name("other.example", "root");
    });
    add("a chain the wrong way round", &|instance| instance.authorities.reverse());
    add("no authority", &|instance| instance.authorities.clear());
    add("a timestamp signer for code", &|instance| {
        instance.timestamp_signer.put(ExtensionDraft::extended_key_usage(&[CODE_SIGNING], true));
    });
    add("a timestamp signer that its authority did not sign", &|instance| {
        instance.timestamp_signer.signed_by = Key::named("forger", KeyKind::EcdsaP384);
    });
    add("a timestamp signer that may not sign", &|instance| {
        instance.timestamp_signer.put(ExtensionDraft::key_usage(&[KEY_CERT_SIGN]));
    });
    add("a timestamp authority for code", &|instance| {
        instance.timestamp_authorities[0]
            .put(ExtensionDraft::extended_key_usage(&[CODE_SIGNING], false));
    });
    let mut edit = |name, change: &dyn Fn(&mut Value)| {
        let instance = Instance::default();
        let mut root = instance.trust_root(&instance.issue());
        change(&mut root);
        all.push((name, root));
    };
    edit("a window that ends before it starts", &|root| {
        *at(root, "/tlogs/0/publicKey/validFor") =
            json!({"start": rfc3339(NOW), "end": rfc3339(NOW - 1)});
    });
    edit("a log without a start of validity", &|root| {
        remove(root, "/tlogs/0/publicKey/validFor/start");
    });
    edit("an authority without a window", &|root| {
        remove(root, "/certificateAuthorities/0/validFor");
    });
    edit("a log without a host", &|root| root["tlogs"][0]["baseUrl"] = Value::from("https:///x"));
    edit("a log with a user in its URL", &|root| {
        root["tlogs"][0]["baseUrl"] = Value::from("https://user@host.example");
    });
    edit("a key that is not what its details say", &|root| {
        *at(root, "/tlogs/0/publicKey/keyDetails") = Value::from("PKIX_ECDSA_P384_SHA_384");
    });
    edit("another media type", &|root| root["mediaType"] = Value::from("application/json"));
    edit("257 logs", &|root| {
        let log = root["tlogs"][0].clone();
        root["tlogs"] = Value::from(vec![log; 257]);
    });
    all
}
