//! Trust roots made of certificates that somebody names.

use evidence::Certificate;
use testkit::clock::SIGNED_AT;
use testkit::{Instance, Scene};
use verify::chain::BadChain;
use verify::trust_root::NAMED_MAX;
use verify::{Artifact, Authority, Demands, Refusal, TrustRoot, VerifiedClaim};

use crate::chains::deep;
use crate::judging::{demanding, explain_piece, piece};

fn parse(ders: &[Vec<u8>]) -> Vec<Certificate> {
    ders.iter().map(|der| Certificate::parse(der).unwrap()).collect()
}

/// Judges under the scene's trust root, changed.
fn prove(
    scene: &Scene,
    change: impl FnOnce(TrustRoot) -> Result<TrustRoot, BadChain>,
) -> Result<VerifiedClaim, Refusal> {
    let sealed = scene.seal();
    let mut authority = demanding(scene, &sealed, Demands::all());
    let Authority::Keyless { roots, .. } = &mut authority else { panic!("keyless") };
    *roots = change(TrustRoot::clone(roots)).unwrap().into();
    let artifact = Artifact::from_bytes(&sealed.artifact);
    explain_piece(scene, piece("bundle", &sealed.bundle_json()), authority, &artifact).0
}

/// The instance's logs and timestamp authorities, and no certificate authority.
fn without_authorities(scene: Scene) -> Scene {
    scene.on_trust_root(|root| root["certificateAuthorities"] = [(); 0].into())
}

#[test]
fn named_authorities_stand_in_the_place_of_the_trust_roots_own() {
    for authorities in 1..=4 {
        let scene = without_authorities(Scene::v1().with(|it| it.instance = deep(authorities)));
        let mut intermediates = parse(&scene.instance.issue().authorities);
        let root = intermediates.pop().unwrap();
        assert_eq!(prove(&scene, Ok).unwrap_err(), Refusal::UnknownAuthority);
        // In whatever order they are named, and beside others.
        intermediates.reverse();
        let other = parse(&Instance::named("other").issue().authorities);
        let roots = [other[1].clone(), root];
        intermediates.push(other[0].clone());
        prove(&scene, |own| own.certified_by("named", &roots, &intermediates)).unwrap();
        // The one that issues is missing, or is another's.
        let refusal = prove(&scene, |own| own.certified_by("named", &other[1..], &other[..1]));
        assert_eq!(refusal.unwrap_err(), Refusal::UnknownAuthority);
        if authorities > 1 {
            let refusal = prove(&scene, |own| own.certified_by("named", &roots, &[]));
            assert_eq!(refusal.unwrap_err(), Refusal::UnknownAuthority);
        }
    }
    // The trust root's own are believed no more.
    let whole = Scene::v1();
    let other = parse(&Instance::named("other").issue().authorities);
    let refusal = prove(&whole, |own| own.certified_by("named", &other[1..], &other[..1]));
    assert_eq!(refusal.unwrap_err(), Refusal::UnknownAuthority);
}

#[test]
fn a_named_authority_is_believed_while_it_is_valid() {
    for position in [0, 1] {
        let scene = Scene::v1().with_instance(|instance| {
            instance.authorities[position].not_after = SIGNED_AT - 1;
        });
        let named = parse(&scene.instance.issue().authorities);
        let refusal = prove(&scene, |own| own.certified_by("named", &named[1..], &named[..1]));
        let refusal = refusal.unwrap_err();
        assert!(matches!(refusal, Refusal::NotValidAtTime { .. }), "{refusal:?}");
    }
}

#[test]
fn certificates_that_make_no_trust_are_refused() {
    let named = |roots: &[Certificate], intermediates: &[Certificate]| {
        TrustRoot::of_nobody().certified_by("named", roots, intermediates).unwrap_err()
    };
    let own = parse(&Instance::default().issue().authorities);
    let other = parse(&Instance::named("other").issue().authorities);
    assert_eq!(named(&[], &own[..1]), BadChain::Empty);
    assert_eq!(
        named(&own[1..], &[own[0].clone(), other[0].clone()]),
        BadChain::NoRoot { index: 1 }
    );
    let many = vec![own[0].clone(); NAMED_MAX];
    assert_eq!(named(&own[1..], &many), BadChain::TooMany { max: NAMED_MAX });
    TrustRoot::of_nobody().certified_by("named", &own[1..], &many[1..]).unwrap();
    let leaf = Instance::default().certificate(&Scene::v1().key).seal();
    assert_eq!(named(&parse(&[leaf]), &[]), BadChain::NotAnAuthority { index: 0 });
    // In the right name, with another's signature.
    let mut forged = Instance::default();
    forged.authorities[0].damaged = true;
    let forged = parse(&forged.issue().authorities[..1]);
    assert_eq!(named(&own[1..], &forged), BadChain::NoRoot { index: 0 });
    // Deeper than chains may go.
    let mut deepest = parse(&deep(verify::chain::AUTHORITIES_MAX + 1).issue().authorities);
    let root = deepest.pop().unwrap();
    assert_eq!(named(&[root], &deepest), BadChain::NoRoot { index: 0 });

    let stamped = |chain| TrustRoot::of_nobody().stamped_by("named", chain).unwrap_err();
    assert_eq!(stamped(Vec::new()), BadChain::Empty);
    assert_eq!(stamped(vec![own[0].clone(); NAMED_MAX + 1]), BadChain::TooMany { max: NAMED_MAX });
    assert_eq!(stamped(many), BadChain::TooLong);
    let for_code = stamped(own.clone());
    assert!(matches!(for_code, BadChain::WrongUsage { index: 0, .. }), "{for_code:?}");
}

#[test]
fn a_named_timestamp_authority_stands_in_the_place_of_the_trust_roots_own() {
    let nobody =
        |scene: Scene| scene.on_trust_root(|it| it["timestampAuthorities"] = [(); 0].into());
    let scene = nobody(Scene::v2());
    let issued = scene.instance.issue();
    let chain = [vec![issued.timestamp_signer.clone()], issued.timestamp_authorities].concat();
    let refusal = prove(&scene, Ok).unwrap_err();
    assert_eq!(refusal, Refusal::UnknownTimestampAuthority { index: 0 });
    // Who signs comes along in the timestamp.
    let brings = scene.clone().with(|scene| scene.embeds_timestamp_signer = true);
    let root = &chain[1..];
    let claim = prove(&brings, |own| own.stamped_by("named", parse(root))).unwrap();
    let observer = verify::time::Observer::TimestampAuthority("named".to_owned());
    assert_eq!(*claim.times()[0].observer(), observer);
    let other = Instance::named("other").issue();
    let other = [vec![other.timestamp_signer], other.timestamp_authorities].concat();
    for (scene, chain) in [(&scene, &other), (&brings, &other)] {
        let refusal = prove(scene, |own| own.stamped_by("named", parse(chain))).unwrap_err();
        assert_eq!(refusal, Refusal::UnknownTimestampAuthority { index: 0 });
    }
    let expired = nobody(Scene::v2().with(|scene| scene.embeds_timestamp_signer = true))
        .with_instance(|instance| instance.timestamp_authorities[0].not_after = SIGNED_AT - 1);
    let root = parse(&expired.instance.issue().timestamp_authorities);
    let refusal = prove(&expired, |own| own.stamped_by("named", root)).unwrap_err();
    assert!(matches!(refusal, Refusal::TimestampAuthorityNotValid { .. }), "{refusal:?}");
    // The wrong way round.
    let reversed: Vec<_> = chain.iter().rev().cloned().collect();
    TrustRoot::of_nobody().stamped_by("named", parse(&reversed)).unwrap_err();
}

#[test]
fn a_trust_root_with_other_authorities_is_another() {
    let own = parse(&Instance::default().issue().authorities);
    let other = parse(&Instance::named("other").issue().authorities);
    let chain = Instance::default().issue();
    let stamps = parse(&[vec![chain.timestamp_signer], chain.timestamp_authorities].concat());
    let nobody = TrustRoot::of_nobody;
    let roots = [
        nobody(),
        TrustRoot::public_good(),
        nobody().certified_by("named", &own[1..], &own[..1]).unwrap(),
        nobody().certified_by("named", &own[1..], &[]).unwrap(),
        nobody().certified_by("named", &own, &[]).unwrap(),
        nobody().certified_by("named", &other[1..], &other[..1]).unwrap(),
        nobody().stamped_by("named", stamps.clone()).unwrap(),
        nobody().stamped_by("named", stamps[1..].to_vec()).unwrap(),
        TrustRoot::public_good().stamped_by("named", stamps).unwrap(),
    ];
    let digests: std::collections::BTreeSet<_> = roots.iter().map(|root| *root.digest()).collect();
    assert_eq!(digests.len(), roots.len());
    let again = nobody().certified_by("named", &own[1..], &own[..1]).unwrap();
    assert_eq!(again.digest(), roots[2].digest());
}

#[test]
fn ways_through_intermediates_that_certify_each_other_are_bounded() {
    let alike = |serial: u8| {
        let mut instance = deep(1);
        instance.authorities[0].serial = vec![serial];
        parse(&instance.issue().authorities).remove(0)
    };
    let all: Vec<_> = (1..=9).map(alike).collect();
    let error = TrustRoot::of_nobody().certified_by("named", &all[..1], &all[1..]).unwrap_err();
    assert!(matches!(error, BadChain::TooManyWays { .. }), "{error:?}");
}

#[test]
fn a_root_among_the_intermediates_takes_nothing_away() {
    let scene = without_authorities(Scene::v1().with(|it| it.instance = deep(3)));
    let chain = parse(&scene.instance.issue().authorities);
    // Its root allows as many below it as there are: not itself once more.
    prove(&scene, |own| own.certified_by("named", &chain[2..], &chain)).unwrap();
    let alone = parse(&deep(1).issue().authorities);
    TrustRoot::of_nobody().certified_by("named", &alone, &alone).unwrap();
}

#[test]
fn an_intermediate_of_which_no_way_holds_is_named_by_its_own_position() {
    let good = parse(&Instance::default().issue().authorities);
    // The second of four allows none below it.
    let chain = parse(&deep(4).issue().authorities);
    let mut bad = deep(4);
    bad.authorities[1].put(testkit::certificate::ExtensionDraft::authority(Some(0)));
    let bad = parse(&bad.issue().authorities);
    let roots = [good[1].clone(), chain[3].clone()];
    let under =
        |between: &[Certificate]| TrustRoot::of_nobody().certified_by("named", &roots, between);
    let broken = [good[0].clone(), bad[0].clone(), bad[1].clone(), bad[2].clone()];
    let source = Box::new(BadChain::PathTooLong { index: 1, allowed: 0 });
    assert_eq!(under(&broken).unwrap_err(), BadChain::NoWay { index: 1, source });
    // Another way that holds suffices.
    under(&[&broken[..], &chain[1..2]].concat()).unwrap();
}
