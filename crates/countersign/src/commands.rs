//! The commands, one file each.

mod admit;
mod attach;
mod attest;
mod attest_blob;
mod bundle;
mod clean;
mod completion;
mod copy;
mod coverage;
mod debug;
mod demo;
mod dockerfile;
mod download;
mod env;
mod explain;
mod generate_key_pair;
mod import_key_pair;
mod initialize;
mod load;
mod login;
mod manifest;
mod policy;
mod public_key;
mod registry;
mod save;
mod serve;
mod sign;
mod sign_blob;
mod signing_config;
mod tree;
mod trusted_root;
mod verify;
mod verify_attestation;
mod verify_blob;
mod verify_blob_attestation;
mod version;

use std::path::Path;

use clap::{Args, CommandFactory, Subcommand};

use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::machine::NewFile;
use crate::{Arguments, command_line, ui};

/// The enumeration of the commands, and each one's part of the command line by its name.
macro_rules! commands {
    ($($name:literal: $command:ident($arguments:ty),)+) => {
        // No documentation: it would take the place of what the help says of the program.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $(#[command(name = $name)] $command($arguments),)+
        }

        impl Command {
            /// The part of the command line that is the command of that name, alone.
            pub(crate) fn named(name: &str) -> Option<clap::Command> {
                let command = match name {
                    $($name => <$arguments>::augment_args(clap::Command::new($name)),)+
                    _ => return None,
                };
                Some(command)
            }
        }
    };
}

commands! {
    "admit": Admit(admit::Admit),
    "attach": Attach(attach::Attach),
    "attest": Attest(attest::Attest),
    "attest-blob": AttestBlob(attest_blob::AttestBlob),
    "bundle": Bundle(bundle::Bundle),
    "clean": Clean(clean::Clean),
    "completion": Completion(completion::Completion),
    "copy": Copy(copy::Copy),
    "coverage": Coverage(coverage::Coverage),
    "debug": Debug(debug::Debug),
    "demo": Demo(demo::Demo),
    "dockerfile": Dockerfile(dockerfile::Dockerfile),
    "download": Download(download::Download),
    "env": Env(env::Env),
    "explain": Explain(explain::Explain),
    "generate-key-pair": GenerateKeyPair(generate_key_pair::GenerateKeyPair),
    "import-key-pair": ImportKeyPair(import_key_pair::ImportKeyPair),
    "initialize": Initialize(initialize::Initialize),
    "load": Load(load::Load),
    "login": Login(login::Login),
    "man": Man(completion::Man),
    "manifest": Manifest(manifest::Manifest),
    "policy": Policy(policy::PolicyCommand),
    "public-key": PublicKey(public_key::PublicKeyCommand),
    "registry": Registry(registry::RegistryCommand),
    "save": Save(save::Save),
    "serve": Serve(serve::Serve),
    "sign": Sign(sign::Sign),
    "sign-blob": SignBlob(sign_blob::SignBlob),
    "signing-config": SigningConfig(signing_config::SigningConfigCommand),
    "tree": Tree(tree::Tree),
    "triangulate": Triangulate(tree::Triangulate),
    "trusted-root": TrustedRoot(trusted_root::TrustedRoot),
    "verify": Verify(verify::Verify),
    "verify-attestation": VerifyAttestation(verify_attestation::VerifyAttestation),
    "verify-blob": VerifyBlob(verify_blob::VerifyBlob),
    "verify-blob-attestation": VerifyBlobAttestation(verify_blob_attestation::VerifyBlobAttestation),
    "version": Version(version::Version),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, global: &Global) -> Result<Exit, Failure> {
        let spelled = || command_line::all_spellings(Arguments::command());
        match self {
            Self::Admit(command) => apart(|| command.run()),
            Self::Attach(command) => apart(|| command.run(global)),
            Self::Attest(command) => apart(|| command.run(global)),
            Self::AttestBlob(command) => apart(|| command.run(global)),
            Self::Bundle(command) => apart(|| command.run(global)),
            Self::Clean(command) => apart(|| command.run(global)),
            Self::Completion(command) => apart(|| command.run(spelled())),
            Self::Copy(command) => apart(|| command.run(global)),
            Self::Coverage(command) => apart(|| command.run(global)),
            Self::Debug(command) => apart(|| command.run()),
            Self::Demo(command) => apart(|| command.run()),
            Self::Dockerfile(command) => apart(|| command.run(global)),
            Self::Download(command) => apart(|| command.run(global)),
            Self::Env(command) => apart(|| command.run()),
            Self::Explain(command) => apart(|| command.run(global)),
            Self::GenerateKeyPair(command) => apart(|| command.run()),
            Self::ImportKeyPair(command) => apart(|| command.run()),
            Self::Initialize(command) => apart(|| command.run(global)),
            Self::Load(command) => apart(|| command.run(global)),
            Self::Login(command) => apart(|| command.run(global)),
            Self::Man(command) => apart(|| command.run(spelled())),
            Self::Manifest(command) => apart(|| command.run(global)),
            Self::Policy(command) => apart(|| command.run(global)),
            Self::PublicKey(command) => apart(|| command.run()),
            Self::Registry(command) => apart(|| command.run(global)),
            Self::Save(command) => apart(|| command.run(global)),
            Self::Serve(command) => apart(|| command.run()),
            Self::Sign(command) => apart(|| command.run(global)),
            Self::SignBlob(command) => apart(|| command.run(global)),
            Self::SigningConfig(command) => apart(|| command.run(global)),
            Self::Tree(command) => apart(|| command.run(global)),
            Self::Triangulate(command) => apart(|| command.run(global)),
            Self::TrustedRoot(command) => apart(|| command.run(global)),
            Self::Verify(command) => apart(|| command.run(global)),
            Self::VerifyAttestation(command) => apart(|| command.run(global)),
            Self::VerifyBlob(command) => apart(|| command.run()),
            Self::VerifyBlobAttestation(command) => apart(|| command.run()),
            Self::Version(command) => apart(|| command.run()),
        }
    }
}

/// Does it in a frame of its own: together, the commands' would be a quarter of a megabyte of stack,
/// which each of them would touch all of.
#[inline(never)]
fn apart<T>(run: impl FnOnce() -> T) -> T {
    run()
}

/// Writes a document to a file as a whole, or to standard output.
fn write_document(path: Option<&Path>, document: &[u8]) -> Result<(), Failure> {
    match path {
        Some(path) => NewFile::create(path)?.write(document),
        None => {
            ui::terminal::bytes(document);
            Ok(())
        }
    }
}
