//! Flags of Cosign that do nothing any more and that scripts go on passing: taken, with a note.
//!
//! A flag that would change what is signed, believed or written is not among them, whoever retired
//! it: passing it over would be worse than refusing it.

use clap::builder::{StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::parse_switch;

/// One such flag.
pub(super) struct Retired {
    pub(super) name: &'static str,
    takes: Takes,
    pub(super) commands: &'static [&'static str],
    /// Why it does nothing, or what does it now.
    note: &'static str,
}

#[derive(Clone, Copy)]
enum Takes {
    /// Any value.
    Value,
    /// None, or `true` or `false`, which are the same.
    Switch,
    /// None, or `true`. `false` would mean something; this says why that is not done.
    True(&'static str),
}

const SIGNING: &[&str] = &["sign", "sign-blob", "attest", "attest-blob"];
const VERIFYING: &[&str] = &[
    "verify",
    "verify-attestation",
    "verify-blob",
    "verify-blob-attestation",
    "dockerfile verify",
    "manifest verify",
];

/// All of them.
pub(super) const RETIRED: &[Retired] = &[
    Retired {
        name: "b64",
        takes: Takes::Switch,
        commands: &["sign-blob"],
        note: "a bundle says itself what in it is base64",
    },
    Retired {
        name: "experimental-oci11",
        takes: Takes::Switch,
        commands: &[
            "tree",
            "verify",
            "verify-attestation",
            "verify-blob",
            "verify-blob-attestation",
            "dockerfile verify",
            "manifest verify",
        ],
        note: "referrers are always looked for",
    },
    Retired {
        name: "insecure-skip-verify",
        takes: Takes::Switch,
        commands: SIGNING,
        note: "what was signed is always verified before it is written",
    },
    Retired {
        name: "max-workers",
        takes: Takes::Value,
        commands: &["verify-blob", "verify-blob-attestation"],
        note: "there is one bundle to verify",
    },
    Retired {
        name: "new-bundle-format",
        takes: Takes::True("for files nothing but bundles is written"),
        commands: &["sign-blob", "attest-blob"],
        note: "bundles are always written",
    },
    Retired {
        name: "new-bundle-format",
        takes: Takes::Switch,
        commands: VERIFYING,
        note: "every format is read",
    },
    Retired {
        name: "output-attestation",
        takes: Takes::Value,
        commands: &["attest-blob"],
        note: "no such file is written: the bundle holds the attestation",
    },
    Retired {
        name: "output-certificate",
        takes: Takes::Value,
        commands: &["sign", "sign-blob", "attest-blob"],
        note: "no such file is written: the bundle holds the certificate",
    },
    Retired {
        name: "output-payload",
        takes: Takes::Value,
        commands: &["sign"],
        note: "no such file is written: the bundle holds the payload",
    },
    Retired {
        name: "output-signature",
        takes: Takes::Value,
        commands: &["sign", "sign-blob", "attest-blob"],
        note: "no such file is written: the bundle holds the signature",
    },
    Retired {
        name: "record-creation-timestamp",
        takes: Takes::Switch,
        commands: &["sign", "attest"],
        note: "when something was signed is what the log and the timestamp say",
    },
    Retired {
        name: "registry-referrers-mode",
        takes: Takes::Value,
        commands: &["sign", "tree"],
        note: "referrers are always used, and the fallback tag where a registry has no API for them",
    },
    Retired {
        name: "rekor-entry-type",
        takes: Takes::Value,
        commands: &["attest", "attest-blob"],
        note: "the log's version decides what is logged",
    },
    Retired {
        name: "rekor-url",
        takes: Takes::Value,
        commands: VERIFYING,
        note: "no log is asked: evidence brings its proof along",
    },
    Retired {
        name: "rfc3161-timestamp",
        takes: Takes::Value,
        commands: &["sign-blob"],
        note: "no such file is written: the bundle holds the timestamp",
    },
    Retired {
        name: "rfc3161-timestamp-bundle",
        takes: Takes::Value,
        commands: &["attest-blob"],
        note: "no such file is written: the bundle holds the timestamp",
    },
    Retired {
        name: "tlog-upload",
        takes: Takes::True("everything is logged: what is not, nobody can verify later"),
        commands: SIGNING,
        note: "everything is logged",
    },
];

/// The commands with those of these flags that are passed: no help, completion or advice is to
/// name the others.
pub(super) fn with_retired(command: Command, is_passed: impl Fn(&str) -> bool) -> Command {
    let with = |command: Command, name: &str| {
        let passed = of(name).filter(|retired| is_passed(retired.name));
        passed.fold(command, |command, retired| command.arg(retired.argument()))
    };
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        with(sub, &name).mut_subcommands(|verb| {
            let name = format!("{name} {}", verb.get_name());
            with(verb, &name)
        })
    })
}

/// What is to be said of those that were passed.
pub(super) fn notes(matches: &ArgMatches) -> Vec<String> {
    let Some((name, matches)) = matches.subcommand() else { return Vec::new() };
    let (name, matches) = match matches.subcommand() {
        Some((verb, matches)) => (format!("{name} {verb}"), matches),
        None => (name.to_owned(), matches),
    };
    // Known to the parser are only those that are passed.
    let passed =
        of(&name).filter(|retired| matches.try_contains_id(retired.name).is_ok_and(|given| given));
    passed.map(|retired| format!("--{} does nothing: {}", retired.name, retired.note)).collect()
}

fn of(command: &str) -> impl Iterator<Item = &'static Retired> {
    RETIRED.iter().filter(move |retired| retired.commands.contains(&command))
}

impl Retired {
    fn argument(&self) -> Arg {
        // Flags of ours have identifiers with underscores, so none is the same.
        let argument = Arg::new(self.name).long(self.name).hide(true).action(ArgAction::Set);
        let refused = match self.takes {
            Takes::Value => return argument,
            Takes::Switch => None,
            Takes::True(why) => Some(why),
        };
        let parser = StringValueParser::new().try_map(move |text| match parse_switch(&text) {
            Some(true) => Ok(()),
            Some(false) => refused.map_or(Ok(()), Err),
            None => Err("it is neither true nor false"),
        });
        argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(parser)
    }
}

#[cfg(test)]
mod tests {

    use std::ffi::OsString;

    use clap::error::ErrorKind;

    use super::*;

    fn read(line: &str) -> Result<Vec<String>, clap::Error> {
        let rest = Arg::new("rest").num_args(0..);
        let program = ["sign", "sign-blob", "verify"]
            .map(|name| Command::new(name).arg(rest.clone()))
            .into_iter()
            .fold(Command::new("program"), Command::subcommand);
        let words = line.split(' ').map(OsString::from);
        super::super::parse(program, words).map(|(_, notes)| notes)
    }

    #[test]
    fn each_is_taken_by_its_commands_with_a_note() {
        assert_eq!(read("program sign image").unwrap(), [""; 0]);
        let notes = read("program sign --output-signature s --tlog-upload image").unwrap();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[1].contains("--tlog-upload does nothing: everything is logged"), "{notes:?}");
        let unknown = read("program verify --output-signature s image").unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::UnknownArgument);
    }

    #[test]
    fn a_value_that_would_mean_something_is_refused() {
        for good in ["--tlog-upload", "--tlog-upload=true", "--tlog-upload=1"] {
            assert_eq!(read(&format!("program sign {good} image")).unwrap().len(), 1, "{good}");
        }
        for bad in ["--tlog-upload=false", "--tlog-upload=F", "--tlog-upload=maybe"] {
            read(&format!("program sign {bad} image")).unwrap_err();
        }
        read("program sign-blob --new-bundle-format=false file").unwrap_err();
        assert_eq!(read("program verify --new-bundle-format=false image").unwrap().len(), 1);
    }
}
