//! Image references: what runtimes pull alike is equal, what could be disputed is refused.

use evidence::image::{ParseHostError, ParseImageRefError, REPOSITORY_SIZE_MAX};
use evidence::{Digest, ImageRef, RegistryHost};

const HEX: &str = "dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8b3dbe638c23575912276fc9c";

fn parse(text: &str) -> ImageRef {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> ParseImageRefError {
    match text.parse::<ImageRef>() {
        Ok(image) => panic!("{text} was taken for {image}"),
        Err(error) => error,
    }
}

fn host_refusal(text: &str) -> ParseHostError {
    match refusal(&format!("{text}/app")) {
        ParseImageRefError::Host(error) => error,
        error => panic!("{text}: {error:?}"),
    }
}

#[test]
fn canonical_form() {
    let digest = format!("sha256:{HEX}");
    let cases = [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("library/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/acme/app", "docker.io/acme/app:latest"),
        ("registry-1.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("registry.hub.docker.com/acme/app:v1", "docker.io/acme/app:v1"),
        ("docker.io/library/foo/bar", "docker.io/library/foo/bar:latest"),
        ("acme/app:Tag_1.2-x", "docker.io/acme/app:Tag_1.2-x"),
        ("test_com/foo", "docker.io/test_com/foo:latest"),
        ("test.com:5000", "docker.io/library/test.com:5000"),
        ("192.168.1.1:5000", "docker.io/library/192.168.1.1:5000"),
        ("ghcr.io/acme/app", "ghcr.io/acme/app:latest"),
        ("ghcr.io:443/acme/app", "ghcr.io/acme/app:latest"),
        ("test:5000/repo", "test:5000/repo:latest"),
        ("test:443/repo", "test:443/repo:latest"),
        ("test-com:8080/foo", "test-com:8080/foo:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:443/app", "localhost:443/app:latest"),
        ("127.0.0.1:5001/app:amd64", "127.0.0.1:5001/app:amd64"),
        ("[2001:DB8:0:0::1]:5000/repo", "[2001:db8::1]:5000/repo:latest"),
        ("[2001:db8::1]:443/repo", "[2001:db8::1]/repo:latest"),
        ("[::1]:5000/repo", "[::1]:5000/repo:latest"),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage:xn--n3h.com"),
        ("docker---rules/dock__er.a_b", "docker.io/docker---rules/dock__er.a_b:latest"),
        (&format!("docker.io/{HEX}"), &format!("docker.io/library/{HEX}:latest")),
        (&HEX[..63], &format!("docker.io/library/{}:latest", &HEX[..63])),
        (&format!("nginx@{digest}"), &format!("docker.io/library/nginx@{digest}")),
        (&format!("nginx:1@{digest}"), &format!("docker.io/library/nginx:1@{digest}")),
    ];
    for (text, canonical) in cases {
        let image = parse(text);
        assert_eq!(image.to_string(), canonical, "{text}");
        assert_eq!(parse(canonical), image, "{text} again");
    }
}

#[test]
fn longest_names() {
    let tag = "t".repeat(128);
    let repository = "a/".repeat(REPOSITORY_SIZE_MAX / 2) + "b";
    assert_eq!(repository.len(), REPOSITORY_SIZE_MAX);
    parse(&format!("ghcr.io/{repository}:{tag}@sha512:{HEX}{HEX}"));
    assert_eq!(
        refusal(&format!("ghcr.io/{repository}c:{tag}")),
        ParseImageRefError::RepositoryTooLong { found: 256 }
    );
    // The namespace that Docker Hub implies counts.
    let lone = "a".repeat(REPOSITORY_SIZE_MAX - "library/".len());
    parse(&lone);
    assert_eq!(refusal(&format!("{lone}a")), ParseImageRefError::RepositoryTooLong { found: 256 });
    assert_eq!(
        refusal(&format!("ghcr.io/a:{tag}t")),
        ParseImageRefError::Tag { found: format!("{tag}t") }
    );
    assert_eq!(refusal(&"a/".repeat(10_000)), ParseImageRefError::TooLong { found: 20_000 });
}

#[test]
fn parts() {
    let image = parse("localhost:5000/acme/app:v1");
    assert_eq!(image.registry().as_str(), "localhost:5000");
    assert_eq!(image.repository(), "acme/app");
    assert_eq!(image.tag(), Some("v1"));
    assert_eq!(image.digest(), None);
    assert_eq!(image.name(), "localhost:5000/acme/app");
    assert_eq!(parse("nginx").registry().endpoint(), "registry-1.docker.io");
    assert_eq!(image.registry().endpoint(), "localhost:5000");
}

#[test]
fn a_tag_beside_a_digest_does_not_count() {
    let tagged = parse(&format!("nginx:1@sha256:{HEX}"));
    assert_eq!(tagged, parse(&format!("docker.io/library/nginx@sha256:{HEX}")));
    assert_eq!(tagged, parse(&format!("nginx:2@sha256:{HEX}")));
    assert_ne!(tagged, parse("nginx:1"));
    assert_ne!(parse("nginx:1"), parse("nginx:2"));
    let digest = Digest::sha256(b"other");
    let pinned = parse("nginx:1").with_digest(digest);
    assert_eq!(pinned.to_string(), format!("docker.io/library/nginx:1@{digest}"));
    assert_ne!(pinned, tagged);
}

#[test]
fn another_tag_of_the_same_repository() {
    let image = parse(&format!("ghcr.io/acme/app:v1@sha256:{HEX}"));
    let other = image.with_tag(&format!("sha256-{HEX}")).unwrap();
    assert_eq!(other.to_string(), format!("ghcr.io/acme/app:sha256-{HEX}"));
    assert_eq!(
        image.with_tag("../../x"),
        Err(ParseImageRefError::Tag { found: "../../x".to_owned() })
    );
}

#[test]
fn loopback() {
    for host in ["localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:1"] {
        assert!(host.parse::<RegistryHost>().unwrap().is_loopback(), "{host}");
    }
    for host in
        ["ghcr.io", "localhost.example", "127.0.0.1.nip.io", "128.0.0.1", "[::2]", "10.0.0.1:5000"]
    {
        assert!(!host.parse::<RegistryHost>().unwrap().is_loopback(), "{host}");
    }
}

#[test]
fn characters_outside_the_grammar_are_refused() {
    let cases = [
        ("ghcr.io/a%2fb", '%', 9),
        ("ghcr.io/a b", ' ', 9),
        ("ghcr.io/a\u{200b}b", '\u{200b}', 9),
        ("ghcr.io/a\nb", '\n', 9),
        ("\u{0}nginx", '\u{0}', 0),
        ("ghcr.io/а", 'а', 8), // Cyrillic
        ("☃.com/app", '☃', 0),
        ("nginx\u{202e}", '\u{202e}', 5),
        ("ghcr.io\\a", '\\', 7),
        ("nginx?x", '?', 5),
        ("nginx#x", '#', 5),
        ("[fe80::1%eth0]:5000/app", '%', 8),
    ];
    for (text, found, at) in cases {
        assert_eq!(refusal(text), ParseImageRefError::Character { found, at }, "{text:?}");
    }
    // What is shown of such a character cannot disturb a terminal.
    assert!(refusal("nginx\u{1b}[31m").to_string().contains(r"'\u{1b}'"));
    assert!(refusal("nginx\u{200b}").to_string().contains(r"'\u{200b}'"));
}

#[test]
fn odd_references_are_refused() {
    use ParseImageRefError as E;
    let component = |found: &str| E::Component { found: found.to_owned() };
    let upper = |found: &str| E::UpperCaseRepository { found: found.to_owned() };
    let tag = |found: &str| E::Tag { found: found.to_owned() };
    let cases = [
        ("", E::Empty),
        (HEX, E::ImageId),
        (&format!("sha256:{HEX}"), E::ImageId),
        (&format!("sha512:{HEX}{HEX}"), E::ImageId),
        ("user:pw@ghcr.io/a", E::UserInfo),
        (&format!("user@ghcr.io/a@sha256:{HEX}"), E::UserInfo),
        (&format!("a@sha256:{HEX}@sha256:{HEX}"), E::SeveralDigests),
        ("ghcr.io/a//b", component("")),
        ("ghcr.io/", component("")),
        ("ghcr.io//a", component("")),
        ("/nginx", component("")),
        ("acme/", component("")),
        ("docker///docker", component("")),
        ("-docker", component("-docker")),
        ("docker-/docker", component("docker-")),
        ("____/____", component("____")),
        ("a___b", component("a___b")),
        ("docker/dock..er", component("dock..er")),
        ("ghcr.io/../secret", component("..")),
        ("ghcr.io/a/./b", component(".")),
        ("ghcr.io/dock_.er", component("dock_.er")),
        ("ghcr.io/a-_b", component("a-_b")),
        ("[::1]", tag(":1]")),
        (":justtag", component("")),
        ("Nginx", upper("library/Nginx")),
        ("acme/App", upper("acme/App")),
        ("ghcr.io/Acme/app", upper("Acme/app")),
        ("Acme/app", E::UpperCaseFirst { found: "Acme".to_owned() }),
        ("nginx:", tag("")),
        ("nginx:-x", tag("-x")),
        ("nginx:.x", tag(".x")),
        ("nginx:a:b", tag("a:b")),
        (&format!("nginx:@sha256:{HEX}"), tag("")),
        (
            "registry-1.docker.io/nginx",
            E::HubNamespace {
                host: "registry-1.docker.io".to_owned(),
                repository: "nginx".to_owned(),
            },
        ),
    ];
    for (text, error) in cases {
        assert_eq!(refusal(text), error, "{text}");
    }
    for text in [
        "nginx@",
        "nginx@sha256",
        "nginx@sha1:dbcc1c35ac38df41fd2f5e4130b32ffdb93ebae8",
        &format!("nginx@sha256:{}", HEX.to_uppercase()),
        &format!("nginx@SHA256:{HEX}"),
        &format!("nginx@sha256:{}", &HEX[..62]),
        &format!("nginx@sha256:{HEX}:latest"),
    ] {
        assert!(matches!(refusal(text), E::Digest(_)), "{text}: {:?}", refusal(text));
    }
}

#[test]
fn odd_hosts_are_refused() {
    use ParseHostError as E;
    let label = |found: &str| E::Label { found: found.to_owned() };
    let port = |found: &str| E::Port { found: found.to_owned() };
    let upper = |found: &str| E::UpperCase { found: found.to_owned() };
    let ipv4 = |found: &str| E::Ipv4 { found: found.to_owned() };
    let ipv6 = |found: &str| E::Ipv6 { found: found.to_owned() };
    let hub = |found: &str| E::HubPort { found: found.to_owned() };
    let long_label = "a".repeat(64);
    let cases = [
        ("GHCR.io", upper("GHCR.io")),
        ("INDEX.docker.io", upper("INDEX.docker.io")),
        ("LOCALHOST:5000", upper("LOCALHOST")),
        ("ghcr.io.", label("")),
        (".ghcr.io", label("")),
        ("dock..er", label("")),
        ("-ghcr.io", label("-ghcr")),
        ("ghcr-.io", label("ghcr-")),
        ("foo_bar.com", label("foo_bar")),
        (&format!("{long_label}.io"), label(&long_label)),
        (&"a.".repeat(127), E::Size { found: 254 }),
        (":5000", E::Size { found: 0 }),
        ("ghcr.io:", port("")),
        ("ghcr.io:0", port("0")),
        ("ghcr.io:0443", port("0443")),
        ("ghcr.io:65536", port("65536")),
        ("ghcr.io:http", port("http")),
        ("https:", port("")),
        ("fc00::1:5000", port(":1:5000")),
        ("127.1", ipv4("127.1")),
        ("127.0.0.01", ipv4("127.0.0.01")),
        ("256.0.0.1", ipv4("256.0.0.1")),
        ("1.2.3.4.5", ipv4("1.2.3.4.5")),
        ("2130706433:80", ipv4("2130706433")),
        ("0x7f.0x1", ipv4("0x7f.0x1")),
        ("[::ffff:127.0.0.1]:80", ipv6("[::ffff:127.0.0.1]")),
        ("[::ffff:7f00:1]:80", ipv6("[::ffff:7f00:1]")),
        ("[::1:80", ipv6("[::1:80")),
        ("[::1]80", ipv6("[::1]80")),
        ("[:::1]", ipv6("[:::1]")),
        ("docker.io:443", hub("docker.io:443")),
        ("index.docker.io:5000", hub("index.docker.io:5000")),
        ("registry-1.docker.io:443", hub("registry-1.docker.io:443")),
    ];
    for (text, error) in cases {
        assert_eq!(host_refusal(text), error, "{text}");
    }
}

/// Addresses whose shortest form could be written with dots must still come back equal.
#[test]
fn every_accepted_address_reads_back() {
    for address in ["::7f00:1", "::", "64:ff9b::7f00:1", "2001:db8:0:0:1:0:0:1", "1::"] {
        let host: RegistryHost = format!("[{address}]:5000").parse().unwrap();
        assert_eq!(host.as_str().parse::<RegistryHost>(), Ok(host.clone()), "{address}");
    }
}
