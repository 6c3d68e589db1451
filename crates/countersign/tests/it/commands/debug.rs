//! `debug providers`.

use super::world::World;

#[test]
fn the_places_of_identity_tokens_are_listed_and_nobody_is_asked() {
    let world = World::new();
    let absent = [("SIGSTORE_ID_TOKEN", "")];
    let said = world.run_with("debug providers", &absent).ends(0);
    let lines: Vec<_> = said.stdout.lines().collect();
    assert_eq!(lines[0], "github-actions: false", "{lines:?}");
    for line in ["filesystem: false", "google-impersonate: false", "spiffe: false"] {
        assert!(lines.contains(&line), "{line} is not in {lines:?}");
    }
    said.says(&["no token is offered here"]);
    let said = world.run_alone("debug providers").ends(0);
    assert!(said.stdout.contains("envvar: true\n"), "{}", said.stdout);
    said.says(&["envvar is asked for a token"]);
    // Nobody listens there.
    let nobody = "http://127.0.0.1:9/token";
    for (provider, variables) in [
        (
            "github-actions",
            &[("ACTIONS_ID_TOKEN_REQUEST_URL", nobody), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x")][..],
        ),
        ("codefresh", &[("CF_OIDC_REQUEST_URL", nobody), ("CF_OIDC_REQUEST_TOKEN", "x")]),
        ("buildkite-agent", &[("BUILDKITE_AGENT_ACCESS_TOKEN", "x")]),
        ("circleci", &[("CIRCLE_OIDC_TOKEN_V2", "x")]),
        ("google-workload-identity", &[("GCE_METADATA_HOST", "127.0.0.1:9")]),
        ("google-impersonate", &[("GOOGLE_SERVICE_ACCOUNT_NAME", "a@acme.example")]),
        ("spiffe", &[("SPIFFE_ENDPOINT_SOCKET", "unix:///absent/agent.sock")]),
    ] {
        let variables = [variables, &absent].concat();
        let said = world.run_with("debug providers", &variables).ends(0);
        let here: Vec<_> =
            said.stdout.lines().filter_map(|line| line.strip_suffix(": true")).collect();
        assert_eq!(here, [provider]);
        said.says(&[&format!("{provider} is asked for a token")]);
    }
    // Half of what it takes is nothing.
    let half = [("ACTIONS_ID_TOKEN_REQUEST_URL", nobody), absent[0]];
    let said = world.run_with("debug providers", &half).ends(0);
    assert!(said.stdout.contains("github-actions: false"), "{}", said.stdout);
}
