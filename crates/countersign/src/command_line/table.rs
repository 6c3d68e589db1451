//! `docs/cosign.md`, held against the commands as they are: what it says is the same or better is
//! taken, what it says is refused or comes later is not, and nothing of Cosign's is missing.

use std::collections::{BTreeMap, BTreeSet};

use clap::error::ErrorKind;
use clap::{Command, CommandFactory};

use super::retired::{self, RETIRED};
use crate::Arguments;

const TABLE: &str = include_str!("../../../../docs/cosign.md");
const COSIGN: &str = include_str!("cosign-3.1.3.txt");

/// Flags that every command has.
const EVERYWHERE: [&str; 3] = ["output-file", "timeout", "verbose"];

/// What becomes of a command or flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Same,
    Better,
    Noted,
    Refused,
    Later,
}

impl State {
    fn parse(word: &str) -> Self {
        match word {
            "same" => Self::Same,
            "better" => Self::Better,
            "noted" => Self::Noted,
            "refused" => Self::Refused,
            "later" => Self::Later,
            other => panic!("`{other}` is no state"),
        }
    }

    fn is_there(self) -> bool {
        matches!(self, Self::Same | Self::Better)
    }
}

/// The rows: a command's with no flag, and those of flags once for each command they are of.
type Rows = BTreeMap<(String, Option<String>), State>;

/// Reads the tables. The flags of a table are those of the commands that the line before it names:
/// ``Of `sign`, `attest`:``.
fn rows() -> Rows {
    let mut rows = Rows::new();
    let mut commands: Vec<String> = Vec::new();
    for line in TABLE.lines() {
        if line.starts_with('#') {
            commands.clear();
        } else if let Some(names) = line.strip_prefix("Of ") {
            commands = quoted(names);
        }
        let Some(cells) = line.strip_prefix("| `") else { continue };
        let cells: Vec<_> = cells.trim_end_matches('|').splitn(3, '|').map(str::trim).collect();
        let [name, state, note] = cells[..] else { panic!("not three cells: {line}") };
        let name = name.trim_end_matches('`');
        let state = State::parse(state);
        let speaks_for_itself = matches!(state, State::Same | State::Later);
        assert!(speaks_for_itself || !note.is_empty(), "no word of how or why: {line}");
        let keys: Vec<_> = match name.strip_prefix("--") {
            None => vec![(name.to_owned(), None)],
            Some(flag) => {
                assert!(!commands.is_empty(), "of no command: {line}");
                commands.iter().map(|it| (it.clone(), Some(flag.to_owned()))).collect()
            }
        };
        for key in keys {
            assert_eq!(rows.insert(key.clone(), state), None, "{key:?} stands twice");
        }
    }
    rows
}

/// The words between backquotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Cosign's commands and their flags.
fn cosign() -> BTreeMap<String, BTreeSet<String>> {
    let lines = COSIGN.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\n ", " ");
    let commands = text.lines().map(|line| {
        let (name, flags) = line.split_once(':').unwrap();
        let flags = flags.split_whitespace().chain(EVERYWHERE).map(str::to_owned);
        (name.to_owned(), flags.collect())
    });
    commands.collect()
}

/// Our command of that name.
fn find<'a>(program: &'a Command, name: &str) -> Option<&'a Command> {
    name.split(' ').try_fold(program, |command, word| command.find_subcommand(word))
}

#[test]
fn nothing_of_cosigns_is_missing_and_nothing_is_made_up() {
    let (rows, cosign) = (rows(), cosign());
    assert!(cosign.len() > 45, "{cosign:?}");
    for (command, flags) in &cosign {
        let state = rows.get(&(command.clone(), None));
        let state = state.unwrap_or_else(|| panic!("`{command}` is not in the table"));
        // A command that is not there has no flags.
        let wanted = if state.is_there() { flags.clone() } else { BTreeSet::new() };
        let of_command = rows.keys().filter(|(name, _)| name == command);
        let found: BTreeSet<_> = of_command.filter_map(|(_, flag)| flag.clone()).collect();
        let missing: Vec<_> = wanted.difference(&found).collect();
        let too_many: Vec<_> = found.difference(&wanted).collect();
        assert!(missing.is_empty() && too_many.is_empty(), "{command}: {missing:?} {too_many:?}");
    }
    for (command, _) in rows.keys() {
        assert!(cosign.contains_key(command), "Cosign has no `{command}`");
    }
}

#[test]
fn what_is_said_to_be_there_is_and_nothing_else() {
    let program = retired::with_retired(Arguments::command(), |_| true);
    let mut program = super::all_spellings(program);
    program.build();
    for ((name, flag), state) in rows() {
        let command = find(&program, &name);
        let Some(flag) = flag else {
            assert_eq!(command.is_some(), state.is_there(), "{name} is said to be {state:?}");
            continue;
        };
        let command = command.unwrap();
        let is_retired =
            RETIRED.iter().any(|it| it.name == flag && it.commands.contains(&name.as_str()));
        assert_eq!(is_retired, state == State::Noted, "{name} --{flag} is said to be {state:?}");
        let known = command.get_arguments().any(|it| it.get_long() == Some(flag.as_str()));
        assert_eq!(known, state.is_there() || is_retired, "{name} --{flag}: {state:?}");

        // As it is passed.
        let words = ["countersign"].into_iter().chain(name.split(' '));
        let words = words.map(str::to_owned).chain([format!("--{flag}=x")]);
        let unknown = program.clone().try_get_matches_from(words).is_err_and(|error| {
            error.kind() == ErrorKind::UnknownArgument && error.to_string().contains(&flag)
        });
        assert_eq!(unknown, !known, "{name} --{flag}=x");
    }
}

#[test]
fn what_is_retired_is_in_the_table() {
    let rows = rows();
    for retired in RETIRED {
        for command in retired.commands {
            let key = ((*command).to_owned(), Some(retired.name.to_owned()));
            assert_eq!(rows.get(&key), Some(&State::Noted), "{key:?}");
        }
    }
}

/// The flags that stand under each heading of the help, in whatever command.
const HEADED: &[(&str, &str)] = &[
    ("Attestation", "attestations by-digest policy predicate statement type"),
    ("Claim", "annotations check-claims signature-only"),
    (
        "Demands",
        "allow-certificate-chain insecure-ignore-sct insecure-ignore-tlog \
         private-infrastructure use-signed-timestamps",
    ),
    (
        "Evidence",
        "annotations bundle certificate formats if-missing new-bundle-format no-upload payload \
         recursive replace rfc3161-timestamp sct sign-container-identity signature \
         signature-digest-algorithm upload",
    ),
    (
        "Instance",
        "fulcio-url log-version offline rekor-url signing-config timestamp-client-cacert \
         timestamp-client-cert timestamp-client-key timestamp-server-name timestamp-server-url \
         trust-config trusted-root use-signing-config",
    ),
    (
        "Registry",
        "allow-http-registry allow-insecure-registry k8s-keychain registry-cacert \
         registry-client-cert registry-client-key registry-mirror registry-password \
         registry-server-name registry-token registry-token-service registry-username",
    ),
    (
        "Signer",
        "certificate certificate-chain certificate-github-workflow-name \
         certificate-github-workflow-ref certificate-github-workflow-repository \
         certificate-github-workflow-sha certificate-github-workflow-trigger \
         certificate-identity certificate-identity-regexp certificate-oidc-issuer \
         certificate-oidc-issuer-regexp fulcio-auth-flow identity-token issue-certificate key \
         oidc-client-id oidc-client-secret-file oidc-disable-ambient-providers oidc-issuer \
         oidc-provider oidc-redirect-url policy-file signing-algorithm",
    ),
    (
        "Trust",
        "ca-intermediates ca-roots certificate-chain offline timestamp-certificate-chain \
         trust-config trusted-root",
    ),
];

/// A heading goes on for whatever stands below it, until the next: what is no part of a group has to
/// stand above all of them. By its heading a flag's variable is named, too.
#[test]
fn no_heading_of_a_group_stands_above_what_is_none_of_it() {
    let mut program = Arguments::command();
    program.build();
    let mut found = BTreeSet::new();
    under_headings(&program, "", &mut found);
    let wanted = HEADED.iter().flat_map(|(heading, flags)| {
        flags.split_whitespace().map(move |flag| ((*heading).to_owned(), flag.to_owned()))
    });
    let wanted: BTreeSet<_> = wanted.collect();
    let stray: Vec<_> = { found.iter() }.filter(|(of, _)| !wanted.contains(of)).collect();
    assert!(stray.is_empty(), "under a heading that is not theirs: {stray:#?}");
    let found: BTreeSet<_> = found.into_iter().map(|(of, _)| of).collect();
    let gone: Vec<_> = wanted.difference(&found).collect();
    assert!(gone.is_empty(), "no longer under that heading: {gone:#?}");
}

/// Adds the flags that have a heading, of the command and all below it: heading and flag, and the
/// command that it is of.
fn under_headings(command: &Command, path: &str, found: &mut BTreeSet<((String, String), String)>) {
    let path = format!("{path} {}", command.get_name());
    for argument in command.get_arguments().filter(|it| !it.is_global_set()) {
        let flag = argument.get_long().unwrap_or_else(|| argument.get_id().as_str());
        if let Some(heading) = argument.get_help_heading() {
            found.insert(((heading.to_owned(), flag.to_owned()), path.clone()));
        }
    }
    for sub in command.get_subcommands() {
        under_headings(sub, &path, found);
    }
}
