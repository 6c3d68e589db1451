//! Several generations of one authority share its name: the one that made something tells why it is
//! refused, in whatever order the trust root holds them.

use serde_json::Value;
use testkit::clock::SIGNED_AT;
use testkit::json::at;
use testkit::{Format, Instance, Scene};
use verify::{Demands, Refusal};

use crate::brought::{below_top, bringing, prove as prove_sealed, top_only};
use crate::judging::prove;
use crate::waivers::CHAINED;

/// An instance whose authorities have the same names, and other keys.
fn namesake(own: &Instance) -> Instance {
    let mut other = Instance::named("another generation");
    let names = |one: &mut [testkit::certificate::CertificateDraft],
                 of: &[testkit::certificate::CertificateDraft]| {
        for (one, of) in one.iter_mut().zip(of) {
            one.issuer.clone_from(&of.issuer);
            one.subject.clone_from(&of.subject);
        }
    };
    names(&mut other.authorities, &own.authorities);
    names(&mut other.timestamp_authorities, &own.timestamp_authorities);
    other
}

/// The scene under a trust root that holds another generation too, before its own or after it.
fn beside_namesake(scene: &Scene, members: &'static str, first: bool) -> Scene {
    let other = namesake(&scene.instance);
    let other = other.trust_root(&other.issue())[members][0].clone();
    scene.clone().on_trust_root(move |root| {
        let own = root[members].as_array_mut().unwrap();
        let place = if first { 0 } else { own.len() };
        own.insert(place, other.clone());
    })
}

#[test]
fn the_authority_that_issued_the_certificate_tells_why_it_is_refused() {
    let before = Some(SIGNED_AT - 1);
    let retired = Scene::v1().with_instance(|it| it.authority_window.1 = before);
    let alone = prove(&retired).unwrap_err();
    assert!(
        matches!(alone, Refusal::NotValidAtTime { what: "the authority in the trust root", .. }),
        "{alone:?}"
    );
    for first in [true, false] {
        let scene = beside_namesake(&retired, "certificateAuthorities", first);
        assert_eq!(prove(&scene).unwrap_err(), alone, "{first}");
        // Where nothing is wrong the other one is in nobody's way.
        prove(&beside_namesake(&Scene::v1(), "certificateAuthorities", first)).unwrap();
    }
}

#[test]
fn the_authority_that_made_a_timestamp_tells_why_it_is_refused() {
    let retired = Scene::v2().with(|it| it.embeds_timestamp_signer = true).with_instance(|it| {
        it.timestamp_signer_pinned = false;
        it.timestamp_window.1 = Some(SIGNED_AT - 1);
    });
    let alone = prove(&retired).unwrap_err();
    assert!(matches!(alone, Refusal::TimestampAuthorityNotValid { .. }), "{alone:?}");
    for first in [true, false] {
        let mut scene = retired.clone();
        let mut other = namesake(&scene.instance);
        other.timestamp_signer_pinned = false;
        let other = other.trust_root(&other.issue())["timestampAuthorities"][0].clone();
        scene = scene.on_trust_root(move |root| {
            let own = root["timestampAuthorities"].as_array_mut().unwrap();
            let place = if first { 0 } else { own.len() };
            own.insert(place, other.clone());
        });
        assert_eq!(prove(&scene).unwrap_err(), alone, "{first}");
    }
}

/// The way over what came along leads to the authority that issued it, however many bear its name.
#[test]
fn what_came_along_leads_to_the_true_reason() {
    let before = Some(SIGNED_AT - 1);
    let retired = top_only(Scene::v1().with_instance(|it| it.authority_window.1 = before));
    let brought = below_top(&retired.instance);
    let other = namesake(&retired.instance);
    let other = other.trust_root(&other.issue())["certificateAuthorities"][0].clone();
    for first in [true, false] {
        let mut other = other.clone();
        let chain = at(&mut other, "/certChain/certificates");
        let top = chain.as_array_mut().unwrap().pop().unwrap();
        *chain = Value::from(vec![top]);
        let scene = retired.clone().on_trust_root(move |root| {
            let own = root["certificateAuthorities"].as_array_mut().unwrap();
            let place = if first { 0 } else { own.len() };
            own.insert(place, other.clone());
        });
        let sealed = bringing(&scene, Format::V0_3, &brought);
        let refusal = prove_sealed(&scene, &sealed, CHAINED).unwrap_err();
        assert!(matches!(refusal, Refusal::NotValidAtTime { .. }), "{first}: {refusal:?}");
        let refusal = prove_sealed(&scene, &sealed, Demands::all()).unwrap_err();
        assert_eq!(refusal, Refusal::ChainNotAllowed);
    }
}
