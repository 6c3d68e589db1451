//! Logins reach exactly the host they are for.

use std::path::PathBuf;

use client::Credential;
use client::credentials::{CONFIG_SIZE_MAX, DockerConfig, Login, ReadConfigError};
use client::error::Unauthorized;
use evidence::ImageRef;

fn write(json: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, json).unwrap();
    (directory, path)
}

fn read(json: &str) -> DockerConfig {
    let (_directory, path) = write(json);
    DockerConfig::read(&path).unwrap()
}

/// What there is for an image in short, such as `user:password`.
fn login(config: &DockerConfig, image: &str) -> Result<Option<String>, Unauthorized> {
    let image: ImageRef = image.parse().unwrap();
    let shown = |login| match login {
        Login::Stored(Credential::Basic(basic)) => {
            format!("{}:{}", basic.user, basic.password.expose())
        }
        Login::Stored(Credential::Identity { token }) => format!("identity {}", token.expose()),
        Login::Stored(Credential::Token { token }) => format!("token {}", token.expose()),
        Login::Helper { name, servers } => format!("{name} for {}", servers.join(", ")),
    };
    Ok(config.login(&image)?.map(shown))
}

fn some(text: &str) -> Result<Option<String>, Unauthorized> {
    Ok(Some(text.to_owned()))
}

#[test]
fn a_login_is_for_its_own_host() {
    // "u:p" in base64.
    let config = read(r#"{"auths": {"ghcr.io": {"auth": "dTpw"}}}"#);
    for image in ["ghcr.io/acme/app", "ghcr.io/app:v1", "ghcr.io:443/app"] {
        assert_eq!(login(&config, image), some("u:p"), "{image}");
    }
    for image in [
        "cr.io/app",
        "hcr.io/app",
        "io/app",
        "a.ghcr.io/app",
        "xghcr.io/app",
        "ghcr.io.evil.example/app",
        "ghcr.iox/app",
        "ghcr.io:5000/app",
        "ghcr.io:80/app",
        "localhost/ghcr.io",
        "evil.example/ghcr.io/app",
        "nginx",
    ] {
        assert_eq!(login(&config, image), Ok(None), "{image}");
    }
}

#[test]
fn keys_are_read_as_docker_and_podman_write_them() {
    let keys = [
        ("https://index.docker.io/v1/", "nginx", true),
        ("https://index.docker.io/v1/", "docker.io/acme/app", true),
        ("index.docker.io", "nginx", true),
        ("docker.io", "nginx", true),
        ("registry-1.docker.io", "nginx", true),
        ("https://ghcr.io", "ghcr.io/app", true),
        ("https://ghcr.io/v2/", "ghcr.io/app", true),
        ("http://localhost:5000", "localhost:5000/app", true),
        ("[::1]:5000", "[::1]:5000/app", true),
        ("quay.io/acme", "quay.io/acme/app", true),
        ("quay.io/acme/app", "quay.io/acme/app", true),
        ("quay.io/acme", "quay.io/acmeevil/app", false),
        ("quay.io/acme/app", "quay.io/acme/other", false),
        ("GHCR.io", "ghcr.io/app", false),
        ("ftp://ghcr.io", "ghcr.io/app", false),
        ("https://user@ghcr.io", "ghcr.io/app", false),
        ("*.io", "ghcr.io/app", false),
        ("", "nginx", false),
        ("ghcr.io.", "ghcr.io/app", false),
    ];
    for (key, image, matches) in keys {
        let config = read(&format!(r#"{{"auths": {{"{key}": {{"auth": "dTpw"}}}}}}"#));
        assert_eq!(login(&config, image).unwrap().is_some(), matches, "{key} for {image}");
    }
}

#[test]
fn the_most_specific_login_wins() {
    let config = read(
        r#"{"auths": {"quay.io": {"auth": "YTph"}, "quay.io/acme": {"auth": "Yjpi"},
            "quay.io/acme/app": {"auth": "Yzpj"}}}"#,
    );
    assert_eq!(login(&config, "quay.io/acme/app"), some("c:c"));
    assert_eq!(login(&config, "quay.io/acme/other"), some("b:b"));
    assert_eq!(login(&config, "quay.io/other"), some("a:a"));
}

#[test]
fn all_forms_of_an_entry() {
    let broken = |problem| Err(Unauthorized::BrokenEntry { problem });
    let cases = [
        (r#"{"auth": "dTpwOnE="}"#, some("u:p:q")),
        (r#"{"auth": "dTpwAAA="}"#, some("u:p")), // "u:p\0\0"
        (r#"{"username": "u", "password": "p"}"#, some("u:p")),
        (r#"{"auth": "", "username": "u", "password": "p"}"#, some("u:p")),
        (r#"{"auth": "dTpw", "email": "a@b.example", "unknown": 1}"#, some("u:p")),
        (r#"{"auth": "dTpw", "identitytoken": "t"}"#, some("identity t")),
        (r#"{"auth": "PHRva2VuPjp0"}"#, some("identity t")), // "<token>:t"
        (r#"{"auth": "dTpw", "identitytoken": "t", "registrytoken": "r"}"#, some("token r")),
        (r#"{"auth": "!"}"#, broken("`auth` is not base64")),
        (r#"{"auth": "/w=="}"#, broken("`auth` is not text")),
        (r#"{"auth": "dXA="}"#, broken("`auth` has no colon")),
        (r#"{"username": "u:v", "password": "p"}"#, broken("the user contains a colon")),
        ("{}", Ok(None)),
        ("null", Ok(None)),
    ];
    for (entry, wanted) in cases {
        let config = read(&format!(r#"{{"auths": {{"ghcr.io": {entry}}}}}"#));
        assert_eq!(login(&config, "ghcr.io/app"), wanted, "{entry}");
    }
}

#[test]
fn helpers_are_named() {
    let config = read(
        r#"{"auths": {"gcr.io": {"auth": "dTpw"}, "ghcr.io": {"auth": "dTpw"}, "quay.io": {}},
            "credHelpers": {"gcr.io": "gcloud"}, "credsStore": "desktop"}"#,
    );
    assert_eq!(login(&config, "gcr.io/app"), some("gcloud for gcr.io, https://gcr.io"));
    assert_eq!(login(&config, "quay.io/app"), some("desktop for quay.io, https://quay.io"));
    let hub = "desktop for https://index.docker.io/v1/, docker.io";
    assert_eq!(login(&config, "nginx"), some(hub));
    assert_eq!(login(&config, "ghcr.io/app"), some("u:p"));
}

#[test]
fn files_that_are_none() {
    let missing = DockerConfig::read(&PathBuf::from("/nonexistent/config.json")).unwrap();
    assert_eq!(login(&missing, "nginx"), Ok(None));
    read("{}");
    read(r#"{"auths": null, "credHelpers": null, "credsStore": ""}"#);
    let refused = |json: &str| {
        let (_directory, path) = write(json);
        DockerConfig::read(&path).unwrap_err()
    };
    for json in ["", "[]", r#"{"auths": []}"#, r#"{"auths": {"a.io": {"auth": 1}}}"#, "{\n  x"] {
        assert!(matches!(refused(json), ReadConfigError::Malformed { .. }), "{json}");
    }
    let long = " ".repeat(usize::try_from(CONFIG_SIZE_MAX).unwrap()) + "{}";
    assert!(matches!(refused(&long), ReadConfigError::TooLong { .. }));
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(DockerConfig::read(directory.path()), Err(ReadConfigError::Io { .. })));
}

/// Neither a dump of the configuration nor an error about it shows what is secret.
#[test]
fn secrets_are_not_printed() {
    let config = read(r#"{"auths": {"ghcr.io": {"username": "u", "password": "hunter2"}}}"#);
    assert!(!format!("{config:?}").contains("hunter2"));
    let (_directory, path) = write(r#"{"auths": {"ghcr.io": {"password": "hunter2", "auth": 5}}}"#);
    let error = DockerConfig::read(&path).unwrap_err();
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}
