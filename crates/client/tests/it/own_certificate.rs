//! A certificate that a key had before: what of it is known before anything is signed.

use client::sign::{OwnCertificate, OwnCertificateError};
use crypto::{KeyKind, PublicKey};
use evidence::{Certificate, UnixTime};
use testkit::certificate::{
    CODE_SIGNING, CertificateDraft, ExtensionDraft, SUBJECT_ALTERNATIVE_NAME, email,
};
use testkit::clock::{CERTIFIED_FROM, CERTIFIED_TO, SIGNED_AT};
use testkit::{Instance, Key};
use verify::{Refusal, TrustRoot};

/// A company with an authority of its own, and a key that it has certified.
struct Company {
    instance: Instance,
    chain: Vec<Certificate>,
    key: Key,
}

type Outcome = Result<OwnCertificate, OwnCertificateError>;

fn parse(der: &[u8]) -> Certificate {
    Certificate::parse(der).unwrap()
}

impl Company {
    fn named(name: &str) -> Self {
        let instance = Instance::named(name);
        let chain = instance.issue().authorities.iter().map(|der| parse(der)).collect();
        Self { instance, chain, key: Key::named(&format!("{name} signer"), KeyKind::EcdsaP256) }
    }

    fn draft(&self) -> CertificateDraft {
        self.instance.certificate(&self.key)
    }

    fn certificate(&self) -> Certificate {
        parse(&self.draft().seal())
    }

    /// The company's certificate under its own chain, for its own key, unless changed.
    fn verified(&self, change: impl Fn(&mut CertificateDraft)) -> Outcome {
        let mut draft = self.draft();
        change(&mut draft);
        self.under(parse(&draft.seal()), self.chain.clone())
    }

    fn under(&self, certificate: Certificate, chain: Vec<Certificate>) -> Outcome {
        verified(certificate, Some(chain), self.key.public())
    }
}

fn verified(certificate: Certificate, chain: Option<Vec<Certificate>>, key: &PublicKey) -> Outcome {
    let now = UnixTime::from_seconds(SIGNED_AT);
    OwnCertificate::verified(certificate, chain, key, &TrustRoot::public_good(), now)
}

#[test]
fn a_companys_own_certificate_serves_under_its_own_chain() {
    let acme = Company::named("acme");
    let own = acme.verified(|_| {}).unwrap();
    assert_eq!(own.certificate().public_key(), acme.key.public());
    // The root is nobody's to bring along.
    assert_eq!(own.intermediates(), &acme.chain[..1]);
    // No CT log promised it, and no identity provider vouched for it.
    acme.verified(|draft| {
        draft.scts = Vec::new();
        draft.extensions.retain(|extension| !extension.oid.starts_with("1.3.6.1.4.1.57264."));
    })
    .unwrap();
    // Some write the certificate itself into the chain.
    let certificate = acme.certificate();
    let whole = [vec![certificate.clone()], acme.chain.clone()].concat();
    let own = acme.under(certificate, whole).unwrap();
    assert_eq!(own.intermediates().len(), 1);
}

#[test]
fn without_a_chain_the_trust_root_has_to_know_the_authority() {
    let acme = Company::named("acme");
    let error = verified(acme.certificate(), None, acme.key.public()).unwrap_err();
    assert!(matches!(error, OwnCertificateError::NotOfTrustRoot), "{error:?}");
    let issued = acme.instance.issue();
    let root = acme.instance.trust_root(&issued).to_string();
    let root = TrustRoot::pin(root.as_bytes()).unwrap();
    let now = UnixTime::from_seconds(SIGNED_AT);
    let (certificate, key) = (acme.certificate(), acme.key.public());
    let own = OwnCertificate::verified(certificate, None, key, &root, now).unwrap();
    assert!(own.intermediates().is_empty());
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let (acme, other) = (Company::named("acme"), Key::named("other", KeyKind::EcdsaP256));
    let outcome = verified(acme.certificate(), Some(acme.chain.clone()), other.public());
    let error = outcome.unwrap_err();
    let OwnCertificateError::OtherKey { wanted, found } = &error else { panic!("{error:?}") };
    assert_eq!((wanted.as_ref(), found.as_ref()), (other.public(), acme.key.public()));
}

#[test]
fn a_chain_that_does_not_lead_to_a_root_is_refused() {
    let (acme, other) = (Company::named("acme"), Company::named("other"));
    let under = |chain: &[Certificate]| acme.under(acme.certificate(), chain.to_vec()).unwrap_err();
    let error = under(&acme.chain[..1]);
    assert!(matches!(error, OwnCertificateError::NoRoot), "{error:?}");
    for none in [Vec::new(), vec![acme.certificate()]] {
        let certificate = none.first().cloned().unwrap_or_else(|| acme.certificate());
        let error = acme.under(certificate, none).unwrap_err();
        assert!(matches!(error, OwnCertificateError::EmptyChain), "{error:?}");
    }
    // The issuing one is left out, or another's.
    for chain in [&acme.chain[1..], &other.chain] {
        let error = under(chain);
        assert!(matches!(error, OwnCertificateError::NotOfChain), "{error:?}");
    }
    let mixed = [acme.chain[0].clone(), other.chain[1].clone()];
    let error = under(&mixed);
    assert!(matches!(error, OwnCertificateError::Chain(_)), "{error:?}");
    let many = vec![acme.chain[1].clone(); 64];
    let error = under(&many);
    assert!(matches!(error, OwnCertificateError::Chain(_)), "{error:?}");
}

#[test]
fn a_certificate_that_no_verifier_would_take_is_refused() {
    let acme = Company::named("acme");
    for (not_before, not_after) in [(CERTIFIED_FROM, SIGNED_AT - 1), (SIGNED_AT + 1, CERTIFIED_TO)]
    {
        let error = acme
            .verified(|draft| (draft.not_before, draft.not_after) = (not_before, not_after))
            .unwrap_err();
        assert!(matches!(error, OwnCertificateError::NotNow { what: "the certificate", .. }));
    }
    type Change = fn(&mut CertificateDraft);
    let changes: [(&str, Change); 4] = [
        ("damaged", |draft| draft.damaged = true),
        ("for servers", |draft| {
            draft.put(ExtensionDraft::extended_key_usage(&["1.3.6.1.5.5.7.3.1"], false));
        }),
        ("nobody's", |draft| draft.remove(SUBJECT_ALTERNATIVE_NAME)),
        ("two people's", |draft| {
            draft.put(ExtensionDraft::names(&[email("a@acme.example"), email("b@acme.example")]));
        }),
    ];
    for (what, change) in changes {
        let error = acme.verified(change).unwrap_err();
        assert!(matches!(error, OwnCertificateError::Unfit(_)), "{what}: {error:?}");
    }
    // What an authority may not do, none of its certificates is good for.
    let mut strange = acme.instance.clone();
    strange.authorities[0].put(ExtensionDraft::extended_key_usage(&["1.3.6.1.5.5.7.3.1"], false));
    let chain: Vec<_> = strange.issue().authorities.iter().map(|der| parse(der)).collect();
    let error = acme.under(acme.certificate(), chain).unwrap_err();
    assert!(matches!(error, OwnCertificateError::Chain(_)), "{error:?}");
    let error = acme.verified(|draft| draft.damaged = true).unwrap_err();
    let OwnCertificateError::Unfit(refusal) = error else { panic!("{error:?}") };
    assert!(matches!(*refusal, Refusal::BadCertificate(_)), "{refusal:?}");
    // As it was made.
    acme.verified(|draft| {
        draft.put(ExtensionDraft::extended_key_usage(&[CODE_SIGNING], false));
    })
    .unwrap();
}
