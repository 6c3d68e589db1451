//! ClusterImagePolicy's globs: the table of policy-controller's own rules, spelling by spelling,
//! and the matcher alone against a slow and obvious one.

use evidence::image::ImageRef;
use policy::cluster_image_policy::{Coverage, ImageNames};
use policy::glob::{ClusterImagePolicyGlob, GLOB_SIZE_MAX, ParseGlobError};
use proptest::prelude::*;

fn glob(text: &str) -> ClusterImagePolicyGlob {
    text.parse().unwrap()
}

/// `(glob, name, covers)`: one spelling of a name, nothing normalised.
const COVERS: &[(&str, &str, bool)] = &[
    ("ghcr.io/acme/app", "ghcr.io/acme/app", true),
    ("ghcr.io/acme/app", "ghcr.io/acme/app:v1", false),
    ("ghcr.io/acme/app", "ghcr.io/acme/app-suffix", false),
    ("ghcr.io/acme/app", "prefix-ghcr.io/acme/app", false),
    ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1", true),
    ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v10", false),
    // A dot is a dot.
    ("ghcr.io/**", "ghcrxio/acme", false),
    // `*` stands for nothing too, and stops at a slash only.
    ("ghcr.io/acme/app*", "ghcr.io/acme/app", true),
    ("ghcr.io/acme/app*", "ghcr.io/acme/app:v1@sha256:00", true),
    ("ghcr.io/acme/app*", "ghcr.io/acme/app/child", false),
    ("ghcr.io/acme*", "ghcr.io/acme-evil", true),
    ("ghcr.io/acme*", "ghcr.io/acme-evil/app", false),
    ("ghcr.io/*/*", "ghcr.io/acme/app:v1", true),
    ("ghcr.io/*/*", "ghcr.io/acme", false),
    ("ghcr.io/*/*", "ghcr.io/acme/team/app", false),
    ("*/**", "ghcr.io/acme/team/app", true),
    ("*.io/acme/app", "ghcr.io/acme/app", true),
    ("*.io/acme/app", "evil.example/x.io/acme/app", false),
    // `**` crosses slashes.
    ("ghcr.io/**", "ghcr.io/", true),
    ("ghcr.io/**", "ghcr.io/acme/team/app:v1", true),
    ("ghcr.io/**", "ghcr.io", false),
    ("**", "", true),
    ("**", "ghcr.io/acme/team/app:v1", true),
    ("**/app", "ghcr.io/acme/team/app", true),
    ("**/app", "app", false),
    ("ghcr.io/**/app:*", "ghcr.io/a/b/app:v1", true),
    ("ghcr.io/**/app:*", "ghcr.io/app:v1", false),
    // From the left: `**`, then `*`.
    ("ghcr.io/***", "ghcr.io/a/b", true),
    ("a***b", "a/x/yb", true),
    // These two are read as Docker Hub; longer ones are not.
    ("*", "index.docker.io/library/nginx:latest", true),
    ("*", "nginx", false),
    ("*", "ghcr.io", false),
    ("*/*", "index.docker.io/acme/app:v1", true),
    ("*/*", "ghcr.io/acme/app", false),
    ("*/*/*", "ghcr.io/acme/app", true),
];

#[test]
fn covers_by_policy_controllers_rules() {
    for (pattern, name, covers) in COVERS {
        assert_eq!(glob(pattern).covers(name), *covers, "glob {pattern} on {name}");
    }
}

#[test]
fn refuses_what_is_no_glob() {
    use ParseGlobError::{BadCharacter, Empty, TooLong};
    let check = |text: &str, error: ParseGlobError| {
        assert_eq!(text.parse::<ClusterImagePolicyGlob>(), Err(error), "{text}");
    };
    check("", Empty);
    for found in "?[]{}()+^$|\\#&!, \n\0é*\u{200b}".chars().filter(|c| *c != '*') {
        check(&format!("ghcr.io/{found}/app"), BadCharacter { found });
    }
    let longest = "a".repeat(GLOB_SIZE_MAX);
    assert!(glob(&longest).covers(&longest));
    check(&"a".repeat(GLOB_SIZE_MAX + 1), TooLong { found: GLOB_SIZE_MAX + 1 });
}

#[test]
fn shows_itself_as_written() {
    assert_eq!(glob("*").to_string(), "*");
    assert_eq!(glob("*").as_str(), "*");
}

/// `(image as a Pod says it, glob, coverage)`; the pairs of policy-controller's `glob_test.go`
/// that match there are `Certain`.
const IMAGES: &[(&str, &str, Coverage)] = &[
    ("foo", "index.docker.io/library/foo:latest", Coverage::Certain),
    ("foo", "index.docker.io/library/foo:*", Coverage::Certain),
    ("foo", "index.docker.io/library/*", Coverage::Certain),
    ("foo", "index.docker.io/library/*:latest", Coverage::Certain),
    ("foo", "index.docker.io/*/*", Coverage::Certain),
    ("foo", "index.docker.io/**", Coverage::Certain),
    ("foo", "index.docker.**", Coverage::Certain),
    ("foo", "inde**", Coverage::Certain),
    ("foo", "**", Coverage::Certain),
    ("foo", "foo", Coverage::Certain),
    ("foo", "foo*", Coverage::Certain),
    ("foo", "foo**", Coverage::Certain),
    ("foo", "*", Coverage::Certain),
    ("myuser/myapp", "index.docker.io/myuser/myapp:latest", Coverage::Certain),
    ("myuser/myapp", "index.docker.io/myuser/*", Coverage::Certain),
    ("myuser/myapp", "index.docker.io/myuser/*:latest", Coverage::Certain),
    ("myuser/myapp", "index.docker.io/*/*", Coverage::Certain),
    ("myuser/myapp", "myuser/myapp", Coverage::Certain),
    ("myuser/myapp", "myuser/myapp*", Coverage::Certain),
    ("myuser/myapp", "*/*", Coverage::Certain),
    ("myuser/myapp", "*", Coverage::No),
    ("ghcr.io/foo/bar", "ghcr.io/*/*", Coverage::Certain),
    ("ghcr.io/foo", "ghcr.io/*/*", Coverage::No),
    ("ghcr.io/foo", "ghcr.io/**", Coverage::Certain),
    ("ghcr.io/foo", "ghc**", Coverage::Certain),
    ("ghcr.io/foo", "*/**", Coverage::Certain),
    ("ghcr.io/foo", "ghcr.io/foo*", Coverage::Certain),
    ("prefix-ghcr.io/foo", "ghcr.io/foo", Coverage::No),
    ("ghcr.io/foo-suffix", "ghcr.io/foo", Coverage::No),
    // However an image is spelled, what is pulled alike is covered alike.
    ("docker.io/library/foo", "foo", Coverage::Certain),
    ("docker.io/foo", "index.docker.io/library/foo:latest", Coverage::Certain),
    ("registry-1.docker.io/library/foo", "docker.io/library/foo:latest", Coverage::Certain),
    ("index.docker.io/acme/app", "docker.io/acme/**", Coverage::Certain),
    ("foo", "registry-1.docker.io/**", Coverage::Certain),
    ("ghcr.io:443/acme/app:v1", "ghcr.io/acme/app:v1", Coverage::Certain),
    ("ghcr.io/acme/app:v1", "ghcr.io:443/acme/app:v1", Coverage::Certain),
    ("localhost/acme/app", "index.docker.io/**", Coverage::No),
    ("localhost:5000/app", "localhost:5000/**", Coverage::Certain),
    // A glob with neither tag nor digest means `latest` for certain, and any other by claim.
    ("ghcr.io/acme/app:latest", "ghcr.io/acme/app", Coverage::Certain),
    ("ghcr.io/acme/app:v1", "ghcr.io/acme/app", Coverage::Claimed),
    (PINNED, "ghcr.io/acme/app", Coverage::Claimed),
    // The tag beside a digest is what the requester says it is.
    (PINNED, "ghcr.io/acme/app:v1", Coverage::Claimed),
    (PINNED, "ghcr.io/acme/app:v1*", Coverage::Claimed),
    (PINNED, "ghcr.io/acme/app:v2", Coverage::No),
    (PINNED, "ghcr.io/acme/*", Coverage::Certain),
    (PINNED, "ghcr.io/acme/app@sha256:*", Coverage::Certain),
    (PINNED, "ghcr.io/acme/app@sha256:5*", Coverage::Certain),
    (PINNED, "ghcr.io/acme/app@sha256:6*", Coverage::No),
];

const PINNED: &str = concat!(
    "ghcr.io/acme/app:v1@sha256:",
    "5504f2a95018e3d8a52d80d9e1a128c6ea337581808ff9fe96f5628ce2336350"
);

#[test]
fn covers_images_however_they_are_spelled() {
    for (image, pattern, coverage) in IMAGES {
        let names = ImageNames::of(&image.parse::<ImageRef>().unwrap());
        assert_eq!(names.covered_by(&glob(pattern)), *coverage, "glob {pattern} on {image}");
    }
}

#[test]
fn pinning_never_uncovers() {
    let digest = evidence::Digest::sha256(b"manifest");
    for (image, pattern, coverage) in IMAGES {
        let image: ImageRef = image.parse().unwrap();
        if image.digest().is_none() && *coverage > Coverage::No {
            let pinned = ImageNames::of(&image.with_digest(digest));
            assert!(pinned.covered_by(&glob(pattern)) > Coverage::No, "glob {pattern} on {image}");
        }
    }
}

#[test]
fn hostile_globs_take_no_time() {
    // A backtracking matcher takes 2^100 steps over this.
    let pattern = glob(&"*a".repeat(GLOB_SIZE_MAX / 2));
    assert!(!pattern.covers(&"a".repeat(500)));
    assert!(!glob(&"**a".repeat(GLOB_SIZE_MAX / 3)).covers(&"a".repeat(300)));
}

/// The same rules as plain recursion, which is slow and easy to see through.
fn obvious(pattern: &[u8], name: &[u8]) -> bool {
    let splits = |rest: &[u8], allowed: &dyn Fn(&[u8]) -> bool| {
        (0..=name.len()).any(|at| allowed(&name[..at]) && obvious(rest, &name[at..]))
    };
    match pattern {
        [] => name.is_empty(),
        [b'*', b'*', rest @ ..] => splits(rest, &|_| true),
        [b'*', rest @ ..] => splits(rest, &|run| !run.contains(&b'/')),
        [byte, rest @ ..] => name.first() == Some(byte) && obvious(rest, &name[1..]),
    }
}

proptest! {
    #[test]
    fn agrees_with_the_obvious_matcher(pattern in "[ab/*]{1,8}", name in "[ab/]{0,8}") {
        let parsed = glob(&pattern);
        if pattern != "*" && pattern != "*/*" {
            let (pattern, bytes) = (pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(parsed.covers(&name), obvious(pattern, bytes));
        }
    }
}
