//! Identity tokens are found where they are offered, and asked for at the right place only.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use client::oidc::{
    AUDIENCE, Ambient, ParseTokenError, Places, Provider, TOKEN_SIZE_MAX, TokenError, Unfit,
};
use client::{BadUrl, Deadline, Environment, FetchErrorKind, IdentityToken, Secret};
use evidence::UnixTime;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Reply, Server};
use crate::{ample, assert_kind, http};

/// A token with these claims and a signature that is none.
pub(crate) fn token(claims: &Value) -> Secret {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = json!({"alg": "ES256"});
    Secret::new(format!("{}.{}.c2ln", part(header.to_string()), part(claims.to_string())))
}

const EXPIRES: i64 = 1_780_000_000;

/// A token of someone, for us.
pub(crate) fn ours(subject: &str) -> Secret {
    token(&json!({"iss": "https://ci.example", "sub": subject, "aud": "sigstore", "exp": EXPIRES}))
}

fn now() -> UnixTime {
    UnixTime::from_seconds(EXPIRES - 60)
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::new(variables.iter().map(|(name, value)| (*name, (*value).to_owned())))
}

/// Places of which none is there.
fn nowhere(folder: &TempDir) -> Places {
    Places {
        token_file: folder.path().join("oidc-token"),
        buildkite: "http://127.0.0.1:1".to_owned(),
        google_metadata: "127.0.0.1:1".to_owned(),
        product_name: folder.path().join("product_name"),
        google_credentials: "http://127.0.0.1:1".to_owned(),
        spiffe_socket: folder.path().join("api.sock"),
    }
}

pub(crate) struct Here {
    pub(crate) folder: TempDir,
    pub(crate) places: Places,
}

impl Here {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let places = nowhere(&folder);
        Self { folder, places }
    }

    pub(crate) async fn find(
        &self,
        variables: &[(&str, &str)],
    ) -> Result<IdentityToken, TokenError> {
        self.find_by(variables, ample()).await
    }

    pub(crate) async fn find_by(
        &self,
        variables: &[(&str, &str)],
        deadline: Deadline,
    ) -> Result<IdentityToken, TokenError> {
        let (environment, http) = (environment(variables), http());
        let ambient = Ambient { environment: &environment, http: &http, places: &self.places };
        ambient.find(AUDIENCE, now(), deadline).await
    }

    /// The token of that place and no other, where no variable is set.
    pub(crate) async fn find_at(&self, provider: Provider) -> Result<IdentityToken, TokenError> {
        let (environment, http) = (environment(&[]), http());
        let ambient = Ambient { environment: &environment, http: &http, places: &self.places };
        ambient.find_at(provider, AUDIENCE, now(), ample()).await
    }

    async fn subject(&self, variables: &[(&str, &str)]) -> String {
        self.find(variables).await.unwrap().subject().to_owned()
    }
}

/// A server that always answers with this.
async fn answering(body: Value) -> Server {
    Server::start(move |_| Reply::ok("application/json", body.to_string())).await
}

#[test]
fn claims_are_read_and_not_believed() {
    let claims = json!({"iss": "i", "sub": "s", "email": "a@b.example", "exp": 1_700_000_000.9});
    let parsed = IdentityToken::parse(token(&claims)).unwrap();
    assert_eq!((parsed.issuer(), parsed.subject()), ("i", "s"));
    assert_eq!(parsed.email(), Some("a@b.example"));
    assert_eq!(parsed.expires(), Some(UnixTime::from_seconds(1_700_000_000)));
    let least = IdentityToken::parse(token(&json!({"iss": "i", "sub": "s"}))).unwrap();
    assert_eq!((least.email(), least.expires()), (None, None));
    assert!(least.audiences().is_empty());
}

#[test]
fn what_is_no_token_is_refused_and_not_shown() {
    use ParseTokenError as E;
    let good = ours("me");
    let with = |suffix: &str| format!("{}{suffix}", good.expose());
    let cases = [
        (String::new(), E::NotThreeParts),
        ("hunter2".to_owned(), E::NotThreeParts),
        ("a.b".to_owned(), E::NotThreeParts),
        (with(".x"), E::NotThreeParts),
        ("e30.e30=.e30".to_owned(), E::NotBase64),
        ("e30.hunter+2.e30".to_owned(), E::NotBase64),
        ("e+0.e30.e30".to_owned(), E::NotBase64),
        ("e30.e30.e+0".to_owned(), E::NotBase64),
        ("e30.e30.e30".to_owned(), E::BadClaims),
        ("e30.W10.e30".to_owned(), E::BadClaims),
        // CVE-2025-66506: a bearer of a mebibyte of dots.
        (".".repeat(1 << 20), E::TooLong { found: 1 << 20 }),
        ("x".repeat(TOKEN_SIZE_MAX + 1), E::TooLong { found: TOKEN_SIZE_MAX + 1 }),
    ];
    for (text, wanted) in cases {
        let error = IdentityToken::parse(Secret::new(text)).unwrap_err();
        assert!(!error.to_string().contains("hunter"));
        assert_eq!(error, wanted);
    }
    let parsed = IdentityToken::parse(ours("me")).unwrap();
    assert!(!format!("{parsed:?}").contains(good.expose()));
}

#[test]
fn a_token_that_would_be_refused_is_known_before_it_is_sent() {
    let check = |claims: Value, now: i64| {
        let token = IdentityToken::parse(token(&claims)).unwrap();
        token.check("sigstore", UnixTime::from_seconds(now))
    };
    let with = |audience: Value| json!({"iss": "i", "sub": "s", "aud": audience, "exp": EXPIRES});
    for audience in [json!("sigstore"), json!(["other", "sigstore"])] {
        // Clocks differ.
        assert_eq!(check(with(audience), EXPIRES + 60), Ok(()));
    }
    for audience in [
        json!("Sigstore"),
        json!("sigstore2"),
        json!(["a", "b"]),
        json!([]),
        json!(null),
        json!(5),
        json!({"sigstore": 1}),
        json!([["sigstore"]]),
    ] {
        let refused = check(with(audience.clone()), EXPIRES);
        assert!(matches!(refused, Err(Unfit::Audience { .. })), "{audience}: {refused:?}");
    }
    let late = check(with(json!("sigstore")), EXPIRES + 61).unwrap_err();
    let expired = UnixTime::from_seconds(EXPIRES);
    assert_eq!(late, Unfit::Expired { expired, now: UnixTime::from_seconds(EXPIRES + 61) });
}

#[test]
fn an_environment_is_not_shown() {
    let environment = environment(&[("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hunter2")]);
    assert!(!format!("{environment:?}").contains("hunter2"));
}

#[tokio::test]
async fn places_are_tried_in_order() {
    let mut here = Here::new();
    let github = answering(json!({"value": ours("github").expose()})).await;
    let buildkite = answering(json!({"token": ours("buildkite").expose()})).await;
    let codefresh = answering(json!({"id_token": ours("codefresh").expose()})).await;
    let machine = Server::start(|_| {
        Reply::ok("text/html", ours("google").expose()).with("Metadata-Flavor", "Google")
    })
    .await;
    let iam = Server::start(|request| match request.path() {
        "/computeMetadata/v1/instance/service-accounts/default/token" => {
            Reply::ok("application/json", r#"{"access_token":"access","expires_in":60}"#)
                .with("Metadata-Flavor", "Google")
        }
        _ => Reply::ok("application/json", json!({"token": ours("other").expose()}).to_string()),
    })
    .await;
    here.places.buildkite = buildkite.url("/v3");
    here.places.google_credentials = iam.url("");
    std::fs::write(&here.places.token_file, ours("file").expose()).unwrap();
    let web = here.folder.path().join("web");
    std::fs::write(&web, format!("{}\n", ours("web").expose())).unwrap();
    let (circleci, variable) = (ours("circleci"), ours("variable"));
    let github_url = github.url("/token?a=b");
    let codefresh_url = codefresh.url("/token");
    let (machine_host, iam_host) = (machine.host(), iam.host());
    let all = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", github_url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ("BUILDKITE_AGENT_ACCESS_TOKEN", "agent"),
        ("BUILDKITE_JOB_ID", "0123-abcd"),
        ("SIGSTORE_ID_TOKEN", variable.expose()),
        ("FILE", ""),
        ("CIRCLE_OIDC_TOKEN_V2", circleci.expose()),
        ("CF_OIDC_REQUEST_URL", &codefresh_url),
        ("CF_OIDC_REQUEST_TOKEN", "workflow"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", web.to_str().unwrap()),
        ("GCE_METADATA_HOST", &machine_host),
    ];
    assert_eq!(here.subject(&all).await, "github");
    assert_eq!(here.subject(&all[2..]).await, "buildkite");
    assert_eq!(here.subject(&all[4..]).await, "variable");
    assert_eq!(here.subject(&all[5..]).await, "file");
    std::fs::remove_file(&here.places.token_file).unwrap();
    assert_eq!(here.subject(&all[6..]).await, "circleci");
    assert_eq!(here.subject(&all[7..]).await, "codefresh");
    assert_eq!(here.subject(&all[9..]).await, "web");
    assert_eq!(here.subject(&all[10..]).await, "google");
    let acting = [
        ("GCE_METADATA_HOST", iam_host.as_str()),
        ("GOOGLE_SERVICE_ACCOUNT_NAME", "signer@acme.iam.gserviceaccount.com"),
    ];
    assert_eq!(here.subject(&acting).await, "other");

    assert_eq!(github.lines(), ["GET /token?a=b&audience=sigstore"]);
    assert_eq!(github.authorizations(), ["Bearer job"]);
    assert_eq!(buildkite.lines(), ["POST /v3/jobs/0123-abcd/oidc/tokens"]);
    assert_eq!(buildkite.authorizations(), ["Token agent"]);
    assert_eq!(buildkite.requests()[0].body, br#"{"audience":"sigstore"}"#);
    assert_eq!(codefresh.lines(), ["GET /token?audience=sigstore"]);
    assert_eq!(codefresh.authorizations(), ["workflow"]);
    let identity = "/computeMetadata/v1/instance/service-accounts/default/identity";
    assert_eq!(machine.lines(), [format!("GET {identity}?audience=sigstore&format=full")]);
    assert_eq!(machine.requests()[0].header("metadata-flavor"), Some("Google"));
    assert_eq!(machine.authorizations(), [""; 0]);
    let made = &iam.requests()[1];
    let account = "signer@acme.iam.gserviceaccount.com";
    let path = format!("/v1/projects/-/serviceAccounts/{account}:generateIdToken");
    assert_eq!((made.method.as_str(), made.path()), ("POST", path.as_str()));
    assert_eq!(made.header("authorization"), Some("Bearer access"));
    let asked: Value = serde_json::from_slice(&made.body).unwrap();
    assert_eq!(asked, json!({"audience": "sigstore", "includeEmail": true}));
}

#[tokio::test]
async fn a_place_can_be_chosen_by_name() {
    let here = Here::new();
    let variable = ours("variable");
    let environment = environment(&[
        ("SIGSTORE_ID_TOKEN", variable.expose()),
        ("SPIFFE_ENDPOINT_SOCKET", "/nowhere/spire.sock"),
    ]);
    let http = http();
    let ambient = Ambient { environment: &environment, http: &http, places: &here.places };
    let at = |name: &str| {
        let provider = Provider::parse(name).unwrap();
        ambient.find_at(provider, AUDIENCE, now(), ample())
    };
    assert_eq!(at("envvar").await.unwrap().subject(), "variable");
    let error = at("github-actions").await.unwrap_err();
    assert!(matches!(error, TokenError::NotHere { provider: "github-actions" }), "{error:?}");
    let error = at("spiffe").await.unwrap_err();
    assert!(matches!(error, TokenError::WorkloadApi(_)), "{error:?}");
    // Cosign's names, of which all are known here.
    for name in [
        "github-actions",
        "buildkite-agent",
        "envvar",
        "filesystem",
        "google-workload-identity",
        "google-impersonate",
        "spiffe",
    ] {
        assert_eq!(Provider::parse(name).unwrap().name(), name);
    }
    assert_eq!(Provider::parse("google"), None);
}

/// The job's token is worth more than the one that it is shown for.
#[tokio::test]
async fn a_jobs_token_goes_to_its_endpoint_only() {
    let here = Here::new();
    let other = Server::stranger().await;
    let target = other.url("/");
    let server = Server::start(move |_| Reply::status(307).with("Location", target.clone())).await;
    let (url, host) = (server.url("/v3"), server.host());
    for variables in [
        &[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ][..],
        &[("CF_OIDC_REQUEST_URL", &url), ("CF_OIDC_REQUEST_TOKEN", "job")],
        &[
            ("BUILDKITE_AGENT_ENDPOINT", &url),
            ("BUILDKITE_AGENT_ACCESS_TOKEN", "job"),
            ("BUILDKITE_JOB_ID", "1"),
        ],
        &[("GCE_METADATA_HOST", &host)],
    ] {
        match here.find(variables).await.unwrap_err() {
            TokenError::Fetch(error) => {
                assert_kind!(error, FetchErrorKind::RedirectedAway { .. });
            }
            error => panic!("{variables:?}: {error:?}"),
        }
    }
    assert_eq!(server.requests().len(), 4);
    assert_eq!(other.lines(), [""; 0]);
    for variables in [
        &[
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "http://github.example/token"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
        ][..],
        &[("CF_OIDC_REQUEST_URL", "http://cf.example"), ("CF_OIDC_REQUEST_TOKEN", "job")],
        &[
            ("BUILDKITE_AGENT_ENDPOINT", "http://buildkite.example"),
            ("BUILDKITE_AGENT_ACCESS_TOKEN", "job"),
            ("BUILDKITE_JOB_ID", "1"),
        ],
    ] {
        match here.find(variables).await.unwrap_err() {
            TokenError::Endpoint { source: BadUrl::PlainHttp { .. }, .. } => {}
            error => panic!("{variables:?}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn names_in_variables_stay_names() {
    let here = Here::new();
    for (variables, wanted) in [
        (
            &[("BUILDKITE_AGENT_ACCESS_TOKEN", "a"), ("BUILDKITE_JOB_ID", "../../agents?x=")][..],
            "BUILDKITE_JOB_ID",
        ),
        (
            &[("GOOGLE_SERVICE_ACCOUNT_NAME", "../x:generateAccessToken?")],
            "GOOGLE_SERVICE_ACCOUNT_NAME",
        ),
        (&[("GCE_METADATA_HOST", "evil.example/x?")], "GCE_METADATA_HOST"),
        (&[("GCE_METADATA_HOST", "user@evil.example")], "GCE_METADATA_HOST"),
        (&[("GCE_METADATA_HOST", "evil.example/a/../..#")], "GCE_METADATA_HOST"),
        (
            &[("CF_OIDC_REQUEST_URL", "http://127.0.0.1:1"), ("CF_OIDC_REQUEST_TOKEN", "a\r\nb")],
            "CF_OIDC_REQUEST_TOKEN",
        ),
    ] {
        match here.find(variables).await.unwrap_err() {
            TokenError::BadVariable { variable, .. } => assert_eq!(variable, wanted),
            error => panic!("{variables:?}: {error:?}"),
        }
    }
    let error = here.find(&[("BUILDKITE_AGENT_ACCESS_TOKEN", "a")]).await.unwrap_err();
    assert!(matches!(error, TokenError::NoVariable { variable: "BUILDKITE_JOB_ID", .. }));
}

/// A place that is there and fails is not passed over: the next one's identity is another.
#[tokio::test]
async fn a_place_that_fails_is_not_passed_over() {
    let here = Here::new();
    let fallback = ours("fallback");
    for status in [401, 403, 404, 500] {
        let server = Server::start(move |_| Reply::status(status)).await;
        let url = server.url("/token");
        let error = here
            .find(&[
                ("ACTIONS_ID_TOKEN_REQUEST_URL", &url),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
                ("SIGSTORE_ID_TOKEN", fallback.expose()),
            ])
            .await
            .unwrap_err();
        assert!(matches!(error, TokenError::Fetch(_)), "{error:?}");
        let tries = if status == 500 { 3 } else { 1 };
        assert_eq!(server.requests().len(), tries, "{status}");
    }
    let folder = here.folder.path().to_str().unwrap();
    let mut unreadable = Here::new();
    unreadable.places.token_file = folder.into();
    let error = unreadable.find(&[]).await.unwrap_err();
    assert!(matches!(error, TokenError::File { .. }), "{error:?}");
    std::fs::write(&here.places.token_file, "x".repeat(TOKEN_SIZE_MAX + 3)).unwrap();
    let error = here.find(&[]).await.unwrap_err();
    assert!(matches!(error, TokenError::File { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_without_a_token_is_refused_and_not_shown() {
    let here = Here::new();
    for body in ["", "[]", "{}", r#"{"value": 5}"#, r#"{"value": "hunter2", "#, r#""hunter2""#] {
        let server = Server::start(move |_| Reply::ok("application/json", body)).await;
        let url = server.url("/token");
        let error = here
            .find(&[
                ("ACTIONS_ID_TOKEN_REQUEST_URL", &url),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job"),
            ])
            .await
            .unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
        match error {
            TokenError::Fetch(error) => assert_kind!(error, FetchErrorKind::Malformed { .. }),
            error => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn google_is_recognised_without_asking_anybody() {
    let mut here = Here::new();
    let server = Server::start(|_| Reply::ok("text/html", ours("google").expose())).await;
    here.places.google_metadata = server.host();
    let error = here.find(&[]).await.unwrap_err();
    assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
    assert_eq!(server.lines(), [""; 0]);
    // Somebody answers there who is not Google.
    std::fs::write(&here.places.product_name, "Google Compute Engine\n").unwrap();
    let error = here.find(&[]).await.unwrap_err();
    assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
    assert_eq!(server.requests().len(), 1);
    let machine = |status| {
        Server::start(move |_| {
            Reply::status(status)
                .with("Metadata-Flavor", "Google")
                .body(ours("google").expose().to_owned())
        })
    };
    let good = machine(200).await;
    here.places.google_metadata = good.host();
    assert_eq!(here.subject(&[]).await, "google");
    std::fs::write(&here.places.product_name, "Standard PC").unwrap();
    assert_eq!(here.subject(&[("K_SERVICE", "app")]).await, "google");
    // A machine without an account.
    let bare = machine(404).await;
    here.places.google_metadata = bare.host();
    let error = here.find(&[("K_SERVICE", "app")]).await.unwrap_err();
    assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
    // Nobody there.
    here.places.google_metadata = "127.0.0.1:1".to_owned();
    let error = here.find(&[("K_SERVICE", "app")]).await.unwrap_err();
    assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
    let error = here.find(&[("K_SERVICE", "a"), ("GOOGLE_SERVICE_ACCOUNT_NAME", "a@b")]).await;
    assert!(error.is_err());
}

/// CircleCI's own tokens are for its organisation; its program makes others.
#[tokio::test]
async fn circlecis_program_makes_a_token_for_us() {
    let here = Here::new();
    let org = token(
        &json!({"iss": "https://oidc.circleci.com/org/1", "sub": "org", "aud": "1", "exp": EXPIRES}),
    );
    let folder = here.folder.path().to_str().unwrap().to_owned();
    let variables = [("CIRCLE_OIDC_TOKEN_V2", org.expose()), ("PATH", folder.as_str())];
    // Without it, what to do is said.
    let error = here.find(&variables).await.unwrap_err();
    assert!(matches!(error, TokenError::Unfit { source: Unfit::Audience { .. }, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("circleci run oidc get"), "{error:?}");
    let program = here.folder.path().join("circleci");
    let install = |lines: String| crate::script::install(&program, &lines);
    let wanted = r#"run oidc get --claims {"aud":"sigstore"}"#;
    install(format!("[ \"$*\" = '{wanted}' ] && echo {}", ours("minted").expose()));
    assert_eq!(here.subject(&variables).await, "minted");
    install("echo no such command >&2; exit 3".to_owned());
    match here.find(&variables).await.unwrap_err() {
        TokenError::Program { problem, .. } => {
            assert!(problem.contains("no such command"), "{problem}")
        }
        error => panic!("{error:?}"),
    }
    // Not from where we happen to be.
    install(format!("echo {}", ours("minted").expose()));
    let path = format!(".:{}{}", "../".repeat(32), folder.trim_start_matches('/'));
    let relative = [("CIRCLE_OIDC_TOKEN", org.expose()), ("PATH", path.as_str())];
    let error = here.find(&relative).await.unwrap_err();
    assert!(matches!(error, TokenError::Unfit { .. }), "{error:?}");
}

/// The files of clouds' web identities are for the cloud, unless they were made for us.
#[tokio::test]
async fn a_web_identity_for_the_cloud_is_not_ours() {
    let here = Here::new();
    let file = here.folder.path().join("web");
    let path = file.to_str().unwrap();
    let write = |audience: &str| {
        let claims = json!({"iss": "https://oidc.eks.example", "sub": "pod", "aud": [audience], "exp": EXPIRES});
        std::fs::write(&file, token(&claims).expose()).unwrap();
    };
    for variable in ["AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"] {
        write("sts.amazonaws.com");
        let error = here.find(&[(variable, path)]).await.unwrap_err();
        assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
        write("sigstore");
        assert_eq!(here.subject(&[(variable, path)]).await, "pod");
    }
}

#[tokio::test]
async fn without_a_token_the_reason_says_what_to_change() {
    let here = Here::new();
    for (variable, remedy) in [
        ("X", "log in"),
        ("GITLAB_CI", "id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore"),
        ("CIRCLECI", "circleci run oidc get"),
        ("BUDDY", "OIDC token with the audience `sigstore`"),
        ("KUBERNETES_SERVICE_HOST", "serviceAccountToken"),
    ] {
        let error = here.find(&[(variable, "x")]).await.unwrap_err();
        assert!(matches!(error, TokenError::Absent { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains(remedy), "{variable}: {:?}", error.hint());
    }
    let error = here.find(&[("GITHUB_ACTIONS", "true")]).await.unwrap_err();
    assert!(matches!(error, TokenError::NotPermitted));
    assert!(error.hint().unwrap().contains("id-token: write"));
    let error = here.find(&[("SIGSTORE_ID_TOKEN", "x")]).await.unwrap_err();
    assert!(matches!(error, TokenError::Malformed { from: "SIGSTORE_ID_TOKEN", .. }));
    // The wrong audience, in GitLab: the line to change.
    let other = token(
        &json!({"iss": "https://gitlab.com", "sub": "s", "aud": "https://vault.example", "exp": EXPIRES}),
    );
    let error = here
        .find(&[("GITLAB_CI", "true"), ("SIGSTORE_ID_TOKEN", other.expose())])
        .await
        .unwrap_err();
    assert!(matches!(error, TokenError::Unfit { source: Unfit::Audience { .. }, .. }));
    assert!(error.hint().unwrap().contains(".gitlab-ci.yml"));
    let late = token(&json!({"iss": "i", "sub": "s", "aud": "sigstore", "exp": EXPIRES - 200}));
    let error = here.find(&[("SIGSTORE_ID_TOKEN", late.expose())]).await.unwrap_err();
    assert!(matches!(error, TokenError::Unfit { source: Unfit::Expired { .. }, .. }));
    assert!(error.hint().unwrap().contains("clock"));
}
