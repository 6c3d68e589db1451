//! What code reaches for: the terminal, the environment, the clock, files, backends and clients.
//! Each belongs to one room (see [`super::house`]); the others get it handed in.

use super::Violation;
use super::house::{
    BACKENDS, DEVELOPMENT, HTTP_CLIENTS, KUBERNETES, OWN_READERS, PURE, REACHES, Reach, STRANGERS,
};
use super::source::{Kind, Mention, Place, Source};

/// Paths that reach something only the binary may, and what to do instead.
const GUARDED_PATHS: &[(Reach, &str)] = &[
    (Reach::Terminal, "std::io::stdin"),
    (Reach::Terminal, "std::io::stdout"),
    (Reach::Terminal, "std::io::stderr"),
    (Reach::Exit, "std::process::exit"),
    (Reach::Exit, "std::process::abort"),
    (Reach::Environment, "std::env"),
    (Reach::Clock, "std::time::SystemTime::now"),
    (Reach::Stopwatch, "std::time::Instant::now"),
    (Reach::Clock, "jiff::Timestamp::now"),
    (Reach::Clock, "jiff::Zoned::now"),
];

/// What reads JSON as serde means it. What is read without these names is not seen: an extractor of
/// the web framework, say.
const LENIENT_JSON: &[&str] = &[
    "serde_json::Deserializer",
    "serde_json::de",
    "serde_json::from_reader",
    "serde_json::from_slice",
    "serde_json::from_str",
    "serde_json::from_value",
];

/// Macros that write to the terminal.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// What the pure members may not name at all.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "async_std",
    "futures",
    "tokio",
];

/// Names that hold global state.
const GLOBAL_STATE: &[&str] = &["static", "thread_local", "OnceLock", "LazyLock", "OnceCell"];

/// Judges one file.
#[must_use]
pub fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let product = source.place == Place::Product;
    let knows_the_clock = source.resolved().any(|(path, _)| {
        let path = path.join("::");
        begins(&path, "std::time::Instant") || begins(&path, "std::time::SystemTime")
    });
    for (path, mention) in source.resolved() {
        let text = path.join("::");
        let mut refuse = |rule: &'static str, found: String, remedy: &str| {
            violations.push(Violation {
                file: source.path.clone(),
                line: mention.line,
                rule,
                found,
                remedy: remedy.to_owned(),
            });
        };
        if let Some(owner) = foreign_library(&source.package, &path, mention)
            && !declares(source, &path[0])
        {
            refuse(
                "libraries",
                format!("`{text}` is named here"),
                &format!("only `{owner}` names it: ask for what you need there"),
            );
        }
        if !product || mention.test {
            continue;
        }
        let (development, demo) = DEVELOPMENT;
        if source.package == "countersign"
            && mention.kind == Kind::Path
            && path.len() > 1
            && path[0] == development
            && !source.path.starts_with(demo)
        {
            refuse(
                "libraries",
                format!("`{text}` is for development only"),
                "only the demo may start an identity provider or a registry of ours",
            );
        }
        if let Some(reach) = reached(&text, mention, knows_the_clock)
            && !may(&source.package, reach)
        {
            refuse("reach", format!("`{text}` reaches the {}", noun(reach)), instead_of(reach));
        }
        let of_strangers = STRANGERS.iter().any(|place| source.path.starts_with(place))
            && !OWN_READERS.iter().any(|(path, _)| *path == source.path);
        if of_strangers && LENIENT_JSON.iter().any(|reader| begins(&text, reader)) {
            refuse(
                "json",
                format!("`{text}` reads what a stranger has written"),
                "read it with `evidence::json`, which takes no list for an object",
            );
        }
        if PURE.contains(&source.package.as_str()) {
            if IMPURE.iter().any(|impure| begins(&text, impure)) {
                refuse(
                    "pure",
                    format!("`{text}` in `{}`", source.package),
                    "this crate has no input or output: take bytes, give values",
                );
            }
            if matches!(text.as_str(), "async" | "await") {
                refuse("pure", format!("`{text}` in `{}`", source.package), "nothing waits here");
            }
            if path.last().is_some_and(|name| GLOBAL_STATE.contains(&name.as_str())) {
                refuse(
                    "pure",
                    format!("`{text}` is global state"),
                    "take what is always needed as an argument, or use a constant",
                );
            }
        }
    }
    violations
}

/// The member that alone may name this library, when it is not this one.
fn foreign_library(package: &str, path: &[String], mention: &Mention) -> Option<&'static str> {
    // A bare word may be anything; a path or an import is a use of the library.
    if mention.kind != Kind::Path || path.len() < 2 {
        return None;
    }
    let first = path[0].as_str();
    let owner = if BACKENDS.contains(&first) {
        "crypto"
    } else if HTTP_CLIENTS.contains(&first) {
        "client"
    } else if KUBERNETES.contains(&first) {
        "admission"
    } else {
        return None;
    };
    (owner != package).then_some(owner)
}

/// Whether the file declares a module of this name, which then means that module.
fn declares(source: &Source, name: &str) -> bool {
    source.modules.iter().flat_map(|module| &module.children).any(|(child, _)| child == name)
}

fn reached(text: &str, mention: &Mention, knows_the_clock: bool) -> Option<Reach> {
    match mention.kind {
        Kind::Macro => {
            let name = text.rsplit("::").next().unwrap_or(text);
            PRINTING.contains(&name).then_some(Reach::Terminal)
        }
        // The async runtime has an `elapsed` of its own; the standard library's needs its types.
        Kind::Method => (text == "elapsed" && knows_the_clock).then_some(Reach::Stopwatch),
        Kind::Path => {
            GUARDED_PATHS.iter().find(|(_, guarded)| begins(text, guarded)).map(|(reach, _)| *reach)
        }
    }
}

/// Whether a path is the given one or goes on from it.
fn begins(path: &str, with: &str) -> bool {
    path.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn may(package: &str, reach: Reach) -> bool {
    REACHES.iter().any(|(name, reaches, _)| *name == package && reaches.contains(&reach))
}

const fn noun(reach: Reach) -> &'static str {
    match reach {
        Reach::Terminal => "terminal",
        Reach::Exit => "end of the process",
        Reach::Environment => "environment",
        Reach::Clock => "clock",
        Reach::Stopwatch => "clock to measure",
    }
}

const fn instead_of(reach: Reach) -> &'static str {
    match reach {
        Reach::Terminal => "only the binary talks to a person: return a value or an error",
        Reach::Exit => "only the binary ends the process: return an error",
        Reach::Environment => "only the binary reads the environment: take it as an argument",
        Reach::Clock => {
            "only the binary reads the clock: take the time, or a clock, as an argument"
        }
        Reach::Stopwatch => "let the async runtime keep the deadline, or let the caller measure",
    }
}
