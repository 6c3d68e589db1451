//! How claims become an identity: the whole table, and what happens when a claim is not there.

use authority::Identity;
use authority::identity::{IdentityError, VALUE_SIZE_MAX};
use authority::issuer::IssuerKind;
use evidence::certificate::SubjectName;
use serde_json::{Value, json};

use crate::world::{CLIENT, ISSUER, NOW, Provider, claims, claims_with, github, github_claims};

fn identity(kind: &IssuerKind, claims: &Value) -> Result<Identity, IdentityError> {
    Identity::of(&Provider::new(kind.clone()).verify_claims(claims).unwrap())
}

fn extensions(identity: &Identity) -> Vec<(u8, &str)> {
    let pairs = identity.extensions().iter();
    pairs.map(|(extension, value)| (extension.number(), value.as_str())).collect()
}

fn gitlab() -> IssuerKind {
    IssuerKind::GitLab { instance_url: "https://gitlab.com".to_owned() }
}

fn gitlab_claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": CLIENT,
        "sub": "project_path:acme/app:ref_type:branch:ref:main",
        "exp": NOW.seconds() + 300,
        "ci_config_ref_uri": "gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main",
        "ci_config_sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "runner_environment": "gitlab-hosted",
        "runner_id": 1,
        "project_path": "acme/app",
        "project_id": "20",
        "project_visibility": "public",
        "namespace_path": "acme",
        "namespace_id": "72",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "ref": "main",
        "ref_type": "branch",
        "pipeline_source": "web",
        "job_id": "302",
    })
}

#[test]
fn a_github_workflow_is_named_in_full() {
    let identity = identity(&github(), &github_claims()).unwrap();
    let workflow = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main";
    assert_eq!(identity.name(), &SubjectName::Uri(workflow.to_owned()));
    let expected = [
        (1, ISSUER),
        (2, "push"),
        (3, "0123456789abcdef0123456789abcdef01234567"),
        (4, "Release"),
        (5, "acme/app"),
        (6, "refs/heads/main"),
        (8, ISSUER),
        (9, workflow),
        (10, "89abcdef0123456789abcdef0123456789abcdef"),
        (11, "github-hosted"),
        (12, "https://github.com/acme/app"),
        (13, "0123456789abcdef0123456789abcdef01234567"),
        (14, "refs/heads/main"),
        (15, "1234"),
        (16, "https://github.com/acme"),
        (17, "56"),
        (18, workflow),
        (19, "fedcba9876543210fedcba9876543210fedcba98"),
        (20, "push"),
        (21, "https://github.com/acme/app/actions/runs/777/attempts/2"),
        (22, "private"),
        (24, "repo:acme/app:ref:refs/heads/main"),
    ];
    assert_eq!(extensions(&identity), expected);
    assert_eq!(identity.challenges(), ["repo:acme/app:ref:refs/heads/main"]);
}

#[test]
fn a_gitlab_job_is_named_in_full() {
    let identity = identity(&gitlab(), &gitlab_claims()).unwrap();
    let config = "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main";
    assert_eq!(identity.name(), &SubjectName::Uri(config.to_owned()));
    let sha = "714a629c0b401fdce83e847fc9589983fc6f46bc";
    let expected = [
        (1, ISSUER),
        (8, ISSUER),
        (9, config),
        (10, sha),
        (11, "gitlab-hosted"),
        (12, "https://gitlab.com/acme/app"),
        (13, sha),
        (14, "refs/heads/main"),
        (15, "20"),
        (16, "https://gitlab.com/acme"),
        (17, "72"),
        (18, config),
        (19, sha),
        (20, "web"),
        (21, "https://gitlab.com/acme/app/-/jobs/302"),
        (22, "public"),
        (24, "project_path:acme/app:ref_type:branch:ref:main"),
    ];
    assert_eq!(extensions(&identity), expected);
}

/// Absent, null, empty, or of another kind: half an identity is none.
#[test]
fn every_mapped_claim_must_be_there() {
    let ours = ["iss", "aud", "sub", "exp"];
    let unused = ["runner_id"];
    let optional = ["ci_config_sha"];
    for (kind, right) in [(github(), github_claims()), (gitlab(), gitlab_claims())] {
        for claim in right.as_object().unwrap().keys() {
            let claim = claim.as_str();
            if ours.contains(&claim) || unused.contains(&claim) || optional.contains(&claim) {
                continue;
            }
            for value in [Value::Null, json!(""), json!([]), json!({}), json!(1.5)] {
                let mut claims = right.clone();
                claims[claim] = value.clone();
                let error = identity(&kind, &claims).unwrap_err();
                assert!(
                    matches!(error, IdentityError::MissingClaim { claim: found } if found == claim),
                    "{claim} {value}: {error}"
                );
            }
            let mut claims = right.clone();
            claims.as_object_mut().unwrap().remove(claim);
            let error = identity(&kind, &claims).unwrap_err();
            assert_eq!(error.wire().message, format!("claim `{claim}` is missing"));
            assert_eq!(error.wire().status, 400);
        }
    }
}

#[test]
fn the_optional_claims_may_be_absent_or_there() {
    for (kind, right) in [(github(), github_claims()), (gitlab(), gitlab_claims())] {
        let mut claims = right.clone();
        claims["environment"] = json!("production");
        let found = identity(&kind, &claims).unwrap();
        assert!(extensions(&found).contains(&(23, "production")));
        for value in [Value::Null, json!("")] {
            claims["environment"] = value;
            let found = identity(&kind, &claims).unwrap();
            assert!(extensions(&found).iter().all(|(number, _)| *number != 23));
        }
    }
    // GitLab: null when the configuration is elsewhere.
    let mut claims = gitlab_claims();
    claims["ci_config_sha"] = Value::Null;
    let found = identity(&gitlab(), &claims).unwrap();
    assert!(extensions(&found).iter().all(|(number, _)| ![10, 19].contains(number)));
}

#[test]
fn numbers_and_truth_values_become_text() {
    let mut claims = github_claims();
    claims["run_id"] = json!(9_007_199_254_740_993_u64);
    claims["repository_id"] = json!(7);
    claims["workflow"] = json!(true);
    let found = identity(&github(), &claims).unwrap();
    let found = extensions(&found);
    assert!(found.contains(&(15, "7")) && found.contains(&(4, "true")));
    let run = "https://github.com/acme/app/actions/runs/9007199254740993/attempts/2";
    assert!(found.contains(&(21, run)));
}

#[test]
fn a_tag_is_not_a_branch() {
    let mut claims = gitlab_claims();
    claims["ref_type"] = json!("tag");
    let found = identity(&gitlab(), &claims).unwrap();
    assert!(extensions(&found).contains(&(14, "refs/tags/main")));
    claims["ref_type"] = json!("branches");
    let error = identity(&gitlab(), &claims).unwrap_err();
    assert!(matches!(error, IdentityError::BadClaim { claim: "ref_type", .. }));
}

#[test]
fn an_instance_of_ones_own_has_its_own_names() {
    let kind = IssuerKind::GitHub { instance_url: "https://github.example.com".to_owned() };
    let found = identity(&kind, &github_claims()).unwrap();
    let name = found.name().as_str().unwrap();
    assert!(name.starts_with("https://github.example.com/acme/app/"), "{name}");
    assert!(extensions(&found).contains(&(16, "https://github.example.com/acme")));
}

/// Go's `net/url`, through which Fulcio passes the name: results of `url.Parse(x).String()`.
#[test]
fn names_are_written_as_fulcio_writes_them() {
    let name = |reference: &str| {
        let mut claims = github_claims();
        claims["job_workflow_ref"] = json!(format!("a/b/w.yml@{reference}"));
        let name = identity(&github(), &claims)?.name().as_str().unwrap().to_owned();
        Ok::<_, IdentityError>(
            name.strip_prefix("https://github.com/a/b/w.yml@").unwrap().to_owned(),
        )
    };
    for (reference, written) in [
        ("refs/heads/main", "refs/heads/main"),
        ("refs/tags/v1.0+build", "refs/tags/v1.0+build"),
        ("refs/heads/größe", "refs/heads/gr%C3%B6%C3%9Fe"),
        ("refs/heads/a(b)!*'", "refs/heads/a(b)!*'"),
        ("refs/heads/a(b)ö", "refs/heads/a%28b%29%C3%B6"),
        ("refs/heads/100%25", "refs/heads/100%25"),
        ("refs/heads/a%2Fb", "refs/heads/a%2Fb"),
        ("refs/heads/a\"b", "refs/heads/a%22b"),
        ("refs/heads/fix#12", "refs/heads/fix#12"),
        ("refs/heads/fix#", "refs/heads/fix"),
        ("refs/heads/fix#ö", "refs/heads/fix#%C3%B6"),
        ("refs/heads/a;b,c=d&e$f", "refs/heads/a;b,c=d&e$f"),
        ("refs/heads/a{b}", "refs/heads/a%7Bb%7D"),
        ("refs/heads/a?b c", "refs/heads/a?b c"),
    ] {
        assert_eq!(name(reference).unwrap(), written);
    }
    for reference in ["refs/heads/100%", "refs/heads/%zz", "refs/heads/a\u{7}", "a?ö", "a\nb"] {
        let error = name(reference).unwrap_err();
        assert!(matches!(error, IdentityError::BadUri { .. }), "{reference}");
    }
    let mut claims = gitlab_claims();
    for host in ["", "/x", "user@host/x", "a b/x", "höst/x", "[::1]/x"] {
        claims["ci_config_ref_uri"] = json!(host);
        assert!(identity(&gitlab(), &claims).is_err(), "{host}");
    }
}

#[test]
fn a_person_is_a_verified_address() {
    for verified in [json!(true), json!("true")] {
        let found = identity(&IssuerKind::Email, &claims_with("email_verified", verified)).unwrap();
        assert_eq!(found.name(), &SubjectName::Email("alice@example.com".to_owned()));
        assert_eq!(extensions(&found), [(1, ISSUER), (8, ISSUER), (24, "alice")]);
        assert_eq!(found.challenges(), ["alice", "alice@example.com"]);
    }
    for verified in [json!(false), json!("false"), json!("TRUE"), json!(1), json!([]), Value::Null]
    {
        let error = identity(&IssuerKind::Email, &claims_with("email_verified", verified.clone()));
        assert_eq!(error.unwrap_err(), IdentityError::EmailNotVerified, "{verified}");
    }
    let mut null = claims();
    null["email_verified"] = Value::Null;
    assert_eq!(identity(&IssuerKind::Email, &null), Err(IdentityError::EmailNotVerified));
    for email in [json!(""), json!([]), Value::Null] {
        let error = identity(&IssuerKind::Email, &claims_with("email", email)).unwrap_err();
        assert_eq!(error, IdentityError::MissingClaim { claim: "email" });
    }
}

#[test]
fn an_unverified_address_is_no_challenge() {
    let mut claims = github_claims();
    claims["email"] = json!("alice@example.com");
    let found = identity(&github(), &claims).unwrap();
    assert_eq!(found.challenges(), ["repo:acme/app:ref:refs/heads/main"]);
    claims["email_verified"] = json!(true);
    assert_eq!(identity(&github(), &claims).unwrap().challenges().len(), 2);
}

#[test]
fn an_address_is_a_plain_mailbox() {
    for email in ["a@b", "a.b+c@d-e.example", "o'brien@example.com", "x@xn--hst-sna.example"] {
        assert!(
            identity(&IssuerKind::Email, &claims_with("email", json!(email))).is_ok(),
            "{email}"
        );
    }
    let long_local = format!("{}@example.com", "x".repeat(65));
    let long_label = format!("x@{}.com", "x".repeat(64));
    for email in [
        "alice",
        "@example.com",
        "alice@",
        "a@b@c",
        "alice@example..com",
        ".alice@example.com",
        "alice.@example.com",
        "alice@-example.com",
        "alice@example-.com",
        "alice @example.com",
        "alice@exa mple.com",
        "alice@example.com\n",
        "\"alice\"@example.com",
        "alice@[127.0.0.1]",
        "alïce@example.com",
        "alice@exämple.com",
        "alice@example.com,bob@example.com",
        &long_local,
        &long_label,
    ] {
        let error = identity(&IssuerKind::Email, &claims_with("email", json!(email))).unwrap_err();
        assert!(matches!(error, IdentityError::BadEmail { .. }), "{email}");
        assert_eq!(error.wire().message, "There was an error processing the identity token");
    }
}

#[test]
fn values_are_bounded() {
    let mut claims = github_claims();
    claims["workflow"] = json!("x".repeat(VALUE_SIZE_MAX));
    assert!(identity(&github(), &claims).is_ok());
    claims["workflow"] = json!("x".repeat(VALUE_SIZE_MAX + 1));
    assert!(matches!(identity(&github(), &claims), Err(IdentityError::TooLong { .. })));
}
