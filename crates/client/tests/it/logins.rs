//! Logins that are kept: by credential helpers, which run without a shell, are heard for a bounded
//! time, and are never mistaken for "anonymous" when they fail; and in files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use client::credentials::{Basic, LoginError, LoginStored, logout, store_login};
use client::error::{FetchErrorKind, HelperProblem, Unauthorized};
use client::{Deadline, DockerConfig, Environment, Keychain, Registry, Secret};
use evidence::RegistryHost;

use crate::server::{Reply, Server};
use crate::{AUTHORIZATION, OCI_MANIFEST, ample, assert_kind, http, image, manifest, script};

/// A directory with one helper, `docker-credential-test`, of these lines of shell.
fn helper(lines: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    script::install(directory.path().join("docker-credential-test"), lines);
    directory
}

/// What a user's environment is with that directory on the path, and a configuration in it.
fn environment(directory: &Path, config: &str) -> Environment {
    fs::write(directory.join("config.json"), config).unwrap();
    let path = format!("{}:/usr/bin:/bin", directory.display());
    Environment::new([
        ("PATH", path),
        ("DOCKER_CONFIG", directory.display().to_string()),
        ("HOME", directory.display().to_string()),
    ])
}

async fn locked() -> Server {
    let (bytes, _) = manifest("app");
    Server::start(move |request| match request.header("authorization") {
        Some(AUTHORIZATION) => Reply::ok(OCI_MANIFEST, bytes.clone()),
        _ => Reply::status(401).with("WWW-Authenticate", "Basic realm=x"),
    })
    .await
}

/// Reads a manifest with what the helper of these lines gives.
async fn read(lines: &str, deadline: Deadline) -> Result<Server, client::FetchError> {
    let server = locked().await;
    let directory = helper(lines);
    let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, server.host());
    let environment = environment(directory.path(), &config);
    let registry = Registry::new(http(), Keychain::from_environment(environment).unwrap());
    let digest = manifest("app").1;
    registry.fetch_manifest(&image(&server, "app"), &digest, deadline).await?;
    Ok(server)
}

fn problem(error: &client::FetchError) -> HelperProblem {
    match error.kind() {
        FetchErrorKind::Unauthorized(Unauthorized::Helper { helper, problem }) => {
            assert_eq!(helper, "test");
            problem.clone()
        }
        _ => panic!("{error:?}"),
    }
}

const ALI: &str = r#"echo '{"ServerURL":"x","Username":"ali","Secret":"open sesame"}'"#;

#[tokio::test]
async fn a_helper_is_asked_for_the_host_by_name() {
    let server = locked().await;
    let directory = helper(&format!(
        r#"read -r server; [ "$1 $server" = "get {}" ] || exit 1; {ALI}; echo x >> "$HOME/asked""#,
        server.host()
    ));
    let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, server.host());
    let environment = environment(directory.path(), &config);
    let registry = Registry::new(http(), Keychain::from_environment(environment).unwrap());
    let digest = manifest("app").1;
    for _ in 0..3 {
        registry.fetch_manifest(&image(&server, "app"), &digest, ample()).await.unwrap();
    }
    let asked = fs::read_to_string(directory.path().join("asked")).unwrap();
    assert_eq!(asked, "x\n", "its answer is kept");
}

#[tokio::test]
async fn the_second_name_is_asked_for_too() {
    let lines = format!(
        r#"read -r server; case "$server" in https://*) {ALI};; *) echo "credentials not found in native keychain"; exit 1;; esac"#
    );
    read(&lines, ample()).await.unwrap();
}

#[tokio::test]
async fn not_found_is_nobody_and_no_failure() {
    let error = read(r#"echo "credentials not found in native keychain"; exit 1"#, ample()).await;
    assert_kind!(error.err().unwrap(), FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
}

#[tokio::test]
async fn a_failure_is_not_nobody() {
    let failed =
        |lines: &'static str| async move { problem(&read(lines, ample()).await.err().unwrap()) };
    let message = |text: &str| HelperProblem::Failed { message: text.to_owned() };
    assert_eq!(failed("echo locked; exit 1").await, message("locked"));
    assert_eq!(failed("echo locked >&2; exit 3").await, message("locked"));
    assert_eq!(failed("exit 1").await, message(""));
    assert_eq!(failed("echo hello").await, HelperProblem::Malformed);
    assert_eq!(failed("true").await, HelperProblem::Malformed);
    assert_eq!(failed(r#"echo '["a","b"]'"#).await, HelperProblem::Malformed);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let failed = read("exec yes", ample()).await.err().unwrap();
    assert_eq!(problem(&failed), HelperProblem::TooLong { max: 256 * 1024 });
    let failed = read("exec yes >&2", ample()).await.err().unwrap();
    assert!(matches!(problem(&failed), HelperProblem::Failed { .. }));
}

/// Nobody reads to the end what is too long: the helper never gets there.
#[tokio::test]
async fn a_long_answer_is_not_read() {
    let server = locked().await;
    let directory = helper(r#"head -c 50000000 /dev/zero; : > "$HOME/done""#);
    let config = format!(r#"{{"credHelpers": {{"{}": "test"}}}}"#, server.host());
    let environment = environment(directory.path(), &config);
    let registry = Registry::new(http(), Keychain::from_environment(environment).unwrap());
    let error = registry.resolve(&image(&server, "app"), ample()).await.unwrap_err();
    assert_eq!(problem(&error), HelperProblem::TooLong { max: 256 * 1024 });
    assert!(!directory.path().join("done").exists());
}

#[tokio::test]
async fn a_helper_that_hangs_is_ended() {
    // It has to be asked before, and a busy machine takes its time.
    let deadline = Deadline::after(Duration::from_secs(2));
    let failed = read("exec sleep 1000", deadline).await.err().unwrap();
    assert_eq!(problem(&failed), HelperProblem::TimedOut);
}

/// What is not in the environment that was handed down does not reach it.
#[tokio::test]
async fn a_helper_sees_the_environment_that_it_is_given() {
    let lines =
        format!(r#"[ -z "$CARGO_MANIFEST_DIR" ] && [ -n "$DOCKER_CONFIG" ] || exit 1; {ALI}"#);
    read(&lines, ample()).await.unwrap();
}

#[tokio::test]
async fn only_a_plain_name_on_an_absolute_path_is_run() {
    let server = locked().await;
    let directory = helper(ALI);
    let asked = |name: &str, path: &str| {
        let config = format!(r#"{{"credHelpers": {{"{}": "{name}"}}}}"#, server.host());
        fs::write(directory.path().join("config.json"), config).unwrap();
        let environment = Environment::new([
            ("PATH", path.to_owned()),
            ("DOCKER_CONFIG", directory.path().display().to_string()),
        ]);
        let keychain = Keychain::from_environment(environment).unwrap();
        let (registry, image) = (Registry::new(http(), keychain), image(&server, "app"));
        async move { registry.resolve(&image, ample()).await.unwrap_err() }
    };
    let here = directory.path().display().to_string();
    for name in ["../test", "test; true", "$(true)", "/bin/sh", "te st", "täst"] {
        let error = asked(name, &here).await;
        assert_kind!(
            error,
            FetchErrorKind::Unauthorized(Unauthorized::Helper { problem: HelperProblem::Name, .. })
        );
    }
    // From where we are, so that it would be found.
    let up = "../".repeat(std::env::current_dir().unwrap().components().count() - 1);
    let relative = format!("{up}{}", here.trim_start_matches('/'));
    assert!(Path::new(&relative).join("docker-credential-test").is_file());
    for path in ["", relative.as_str(), "/nonexistent"] {
        let error = asked("test", path).await;
        assert_kind!(
            error,
            FetchErrorKind::Unauthorized(Unauthorized::Helper {
                problem: HelperProblem::NotFound,
                ..
            })
        );
        assert!(error.hint().unwrap().contains("docker-credential-test get"));
    }
    assert_eq!(server.authorizations(), [""; 0]);
}

fn ali() -> Basic {
    Basic { user: "ali".to_owned(), password: Secret::new("open sesame".to_owned()) }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_login_is_kept_in_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/config.json");
    let host: RegistryHost = "ghcr.io".parse().unwrap();
    let stored = store_login(&path, &host, &ali(), &Environment::default(), ample()).await.unwrap();
    assert_eq!(stored, LoginStored::File(path.clone()));
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(&path).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json, serde_json::json!({"auths": {"ghcr.io": {"auth": "YWxpOm9wZW4gc2VzYW1l"}}}));
    let read = DockerConfig::read(&path).unwrap();
    assert!(read.login(&"ghcr.io/a/b".parse().unwrap()).unwrap().is_some());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[tokio::test]
async fn a_login_leaves_the_rest_of_the_file_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("real.json"), directory.path().join("config.json"));
    let before = r#"{"HttpHeaders": {"X": [1, 2.50]}, "auths": {"quay.io/acme": {"auth": "YTph"},
        "docker.io": {"auth": "b2xk"}, "https://index.docker.io/v1/": {"auth": "b2xk", "email": "x"},
        "quay.io": {"auth": "YTph"}}, "psFormat": null, "currentContext": "ü"}"#;
    fs::write(&path, before).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let hub: RegistryHost = "docker.io".parse().unwrap();
    store_login(&link, &hub, &ali(), &Environment::default(), ample()).await.unwrap();
    let read =
        || -> serde_json::Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let mut wanted: serde_json::Value = serde_json::from_str(before).unwrap();
    let auths = wanted["auths"].as_object_mut().unwrap();
    auths.remove("docker.io");
    auths["https://index.docker.io/v1/"] = serde_json::json!({"auth": "YWxpOm9wZW4gc2VzYW1l"});
    assert_eq!(read(), wanted, "one entry for the host, under Docker's own key");
    assert_eq!(mode(&path), 0o600);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "the link stays");
    logout(&link, &hub, &Environment::default(), ample()).await.unwrap();
    wanted["auths"].as_object_mut().unwrap().remove("https://index.docker.io/v1/");
    assert_eq!(read(), wanted);
}

#[tokio::test]
async fn a_login_goes_to_the_helper_where_there_is_one() {
    let directory = helper(r#"cat > "$HOME/$1""#);
    let environment = environment(directory.path(), r#"{"credsStore": "test"}"#);
    let path = directory.path().join("config.json");
    let host: RegistryHost = "ghcr.io".parse().unwrap();
    let stored = store_login(&path, &host, &ali(), &environment, ample()).await.unwrap();
    assert_eq!(stored, LoginStored::Helper("test".to_owned()));
    let kept = fs::read_to_string(directory.path().join("store")).unwrap();
    assert_eq!(kept, r#"{"ServerURL":"ghcr.io","Username":"ali","Secret":"open sesame"}"#);
    let config = fs::read_to_string(&path).unwrap();
    assert!(config.contains(r#""ghcr.io": {}"#) && !config.contains("auth\""), "{config}");
    logout(&path, &host, &environment, ample()).await.unwrap();
    assert_eq!(fs::read_to_string(directory.path().join("erase")).unwrap(), "ghcr.io");
}

#[tokio::test]
async fn a_login_that_cannot_be_kept_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let host: RegistryHost = "ghcr.io".parse().unwrap();
    let store = |basic: Basic| {
        let (path, host) = (path.clone(), host.clone());
        async move { store_login(&path, &host, &basic, &Environment::default(), ample()).await }
    };
    for user in ["", "a:b"] {
        let basic = Basic { user: user.to_owned(), ..ali() };
        assert!(matches!(store(basic).await, Err(LoginError::User)));
    }
    assert!(!path.exists());
    for broken in ["{", r#"{"auths": []}"#, r#"{"credsStore": "nonexistent"}"#] {
        fs::write(&path, broken).unwrap();
        let error = store(ali()).await.unwrap_err();
        assert!(!matches!(error, LoginError::Write { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
    }
}

/// Docker's file first, then Podman's: each for the hosts that it names.
#[tokio::test]
async fn all_files_of_logins_are_read_in_their_order() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, json: &str| {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, json).unwrap();
    };
    let server = locked().await;
    let host = server.host();
    // "wrong:wrong" in Podman's file must not be looked at.
    write(
        "docker/config.json",
        &format!(r#"{{"auths": {{"{host}": {{"auth": "YWxpOm9wZW4gc2VzYW1l"}}}}}}"#),
    );
    write(
        "run/containers/auth.json",
        &format!(r#"{{"auths": {{"{host}": {{"auth": "d3Jvbmc6d3Jvbmc="}}}}}}"#),
    );
    let at = |name: &str| directory.path().join(name).display().to_string();
    let read = |variables: Vec<(&'static str, String)>| {
        let keychain = Keychain::from_environment(Environment::new(variables)).unwrap();
        let (registry, image) = (Registry::new(http(), keychain), image(&server, "app"));
        let digest = manifest("app").1;
        async move { registry.fetch_manifest(&image, &digest, ample()).await.map(|_| ()) }
    };
    let docker = || ("DOCKER_CONFIG", at("docker"));
    let podman = || ("XDG_RUNTIME_DIR", at("run"));
    read(vec![podman(), docker()]).await.unwrap();
    let error = read(vec![podman()]).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::CredentialsRefused { .. }));
    read(vec![podman(), ("REGISTRY_AUTH_FILE", at("docker/config.json"))]).await.unwrap();
    write("home/.docker/config.json", "{}");
    let error = read(vec![("HOME", at("home"))]).await.unwrap_err();
    assert_kind!(error, FetchErrorKind::Unauthorized(Unauthorized::NoCredentials));
    write("home/.docker/config.json", "{");
    let broken = Keychain::from_environment(Environment::new([("HOME", at("home"))]));
    assert!(broken.is_err(), "a broken file is not an absent one");
}
