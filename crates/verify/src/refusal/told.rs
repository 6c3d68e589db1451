//! What people are told of a refusal: what was wanted and found, the causes, and what to do.

use crypto::merkle::NodeHash;
use crypto::{Hash, HashAlgorithm};
use evidence::{Digest, TreeSize};

use super::{EntryPart, Refusal};

/// Where whoever reads an explanation has said what is wanted, which is what hints name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedIn {
    /// In the flags of a command.
    Flags,
    /// In a policy file.
    PolicyFile,
}

impl Refusal {
    /// What was wanted, and what was found.
    #[must_use]
    pub fn wanted_and_found(&self) -> (String, String) {
        let text = |wanted: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
            (wanted.to_string(), found.to_string())
        };
        match self {
            Self::NoEvidence => text(&"a signature or attestation", &"none"),
            Self::WrongIdentity { wanted, issuer, subject } => {
                text(&wanted.join(" or "), &signer_found(subject, issuer))
            }
            Self::WrongExtension { extension, wanted, found } => text(
                &format_args!("{} {wanted}", extension.name()),
                &found
                    .as_deref()
                    .map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`")),
            ),
            Self::WrongArtifact { wanted, found } => text(wanted, &found.join(", ")),
            Self::WrongClaim { wanted, found } => text(wanted, found),
            Self::Denied { wanted } => {
                text(&format_args!("no claim of this kind: {wanted}"), &"one")
            }
            Self::TooOld { seen, age_s, max_s } => text(
                &format_args!("seen at most {max_s} seconds ago"),
                &format_args!("seen {age_s} seconds ago, at {seen}"),
            ),
            Self::TooFewSigners { wanted, found } => {
                text(&format_args!("{wanted} different signers"), found)
            }
            Self::WrongAnnotation { name, wanted, found } => text(
                &format_args!("{name}={wanted}"),
                &found
                    .as_deref()
                    .map_or_else(|| "nothing".to_owned(), |value| format!("{name}={value}")),
            ),
            Self::CertificateTimestampInFuture { time, used } => {
                text(&format_args!("a promise from before {used}, when it was used"), time)
            }
            Self::TimeInFuture { time, now } => {
                text(&format_args!("a time up to {now}, which is now"), time)
            }
            Self::LogKeyNotValid { time, window, .. }
            | Self::TimestampAuthorityNotValid { time, window, .. }
            | Self::CtLogKeyNotValid { time, window }
            | Self::NotValidAtTime { time, window, .. }
            | Self::NotValidNow { now: time, window, .. } => text(window, time),
            Self::WrongOrigin { wanted, found, .. } => text(wanted, found),
            Self::CheckpointMismatch { wanted, found, .. } => {
                let tree = |(size, root): &(TreeSize, NodeHash)| {
                    let root = Hash::from_bytes(HashAlgorithm::Sha256, root);
                    let root = root.expect("a node's hash has the length of SHA-256");
                    format!("{size} leaves with root hash {}", Digest::from(root))
                };
                text(&tree(wanted), &tree(found))
            }
            Self::TooFewObservers { observers, wanted, found } => {
                text(&format_args!("{wanted} {observers}"), found)
            }
            Self::UnknownLog { log_id, .. } => {
                text(&"a log of the trust root", &format_args!("log {log_id}"))
            }
            Self::NotAStatement { payload_type } => {
                text(&evidence::envelope::IN_TOTO_PAYLOAD_TYPE, payload_type)
            }
            other => text(&other.check().wanted(), &other.full_message()),
        }
    }

    /// The message with every cause, joined by colons.
    #[must_use]
    pub fn full_message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// What an operator can do, where there is something, in the words of where it is said what is
    /// wanted.
    #[must_use]
    pub fn hint(&self, wanted_in: WantedIn) -> Option<&'static str> {
        let hint = match self {
            Self::NoEvidence => "sign the artifact, or look at another digest or repository",
            Self::WrongIdentity { .. } => match wanted_in {
                WantedIn::Flags => {
                    "if this signer is right, name it with --certificate-identity and \
                     --certificate-oidc-issuer"
                }
                WantedIn::PolicyFile => {
                    "if this signer is right, name it among the policy's `signers`"
                }
            },
            Self::WrongExtension { .. } => match wanted_in {
                WantedIn::Flags => "if this value is right, give it to the flag that wants another",
                WantedIn::PolicyFile => {
                    "if this value is right, correct it under the signer's `extensions`"
                }
            },
            Self::UnknownLog { .. }
            | Self::UnknownAuthority
            | Self::UnknownTimestampAuthority { .. }
            | Self::NotValidNow { unknown_timestamp: Some(_), .. } => {
                "if it was signed with a private instance, give its trust root with --trusted-root \
                 or --trust-config"
            }
            Self::NoCertificateTimestamp { .. } => match wanted_in {
                WantedIn::Flags => {
                    "if it was signed with a private instance, give its trust root with \
                     --trusted-root or --trust-config; if that has no CT log, --insecure-ignore-sct \
                     does without"
                }
                WantedIn::PolicyFile => {
                    "if it was signed with a private instance, give its trust root with \
                     --trusted-root or --trust-config; a policy file waives no CT log"
                }
            },
            Self::NotLogged => match wanted_in {
                WantedIn::Flags => {
                    "sign it again in a log; if it was left out on purpose, --insecure-ignore-tlog \
                     does without"
                }
                WantedIn::PolicyFile => "sign it again in a log: a policy file waives none",
            },
            Self::NoSignedTimestamp => {
                "sign again with a timestamp authority; without --use-signed-timestamps the time \
                 that a log promises suffices"
            }
            Self::WrongArtifact { .. } => {
                "check that this is the artifact that was signed, unchanged"
            }
            Self::NoCertificate => match wanted_in {
                WantedIn::Flags => "give the public key with --key",
                WantedIn::PolicyFile => {
                    "name the public key among the policy's `signers`, as `key`"
                }
            },
            Self::NoIssuer => match wanted_in {
                WantedIn::Flags => {
                    "if its authority vouches alone, name that with --ca-roots, and want no provider \
                     with --certificate-oidc-issuer-regexp '.*'"
                }
                WantedIn::PolicyFile => {
                    "sign it with a certificate that names its provider, which a policy file wants"
                }
            },
            Self::ChainNotAllowed => match wanted_in {
                WantedIn::Flags => "--allow-certificate-chain takes it all the same",
                WantedIn::PolicyFile => "sign it again with a client that keeps to the format",
            },
            Self::WrongKey => match wanted_in {
                WantedIn::Flags => "check that --key is the signer's public key",
                WantedIn::PolicyFile => "check that the policy's `key` is the signer's public key",
            },
            Self::EntryMismatch { what: EntryPart::Signer, .. } => match wanted_in {
                WantedIn::Flags => {
                    "check that --key or --certificate, if it is given, is the signer's"
                }
                WantedIn::PolicyFile => {
                    "check that the policy's `key`, if it has one, is the signer's public key"
                }
            },
            Self::BadSignature => match wanted_in {
                WantedIn::Flags => {
                    "check that this is what was signed, and of --key or --certificate that it is \
                     the signer's"
                }
                WantedIn::PolicyFile => {
                    "check that this is what was signed, and that the policy's `key` is the signer's \
                     public key"
                }
            },
            Self::DigestNotKnown { .. } | Self::ArtifactNotKnown => {
                "give the artifact itself, not only its digest"
            }
            Self::NoTrustedTime | Self::NotValidNow { .. } => {
                "sign again with a timestamp authority, or with a log that promises a time (v1)"
            }
            Self::TimeInFuture { .. } => "check this machine's clock",
            Self::TooOld { .. } => "sign or scan it again, or allow a greater age in the policy",
            Self::TooFewSigners { .. } => {
                "have another signer sign it, or lower the threshold in the policy"
            }
            Self::ProgramFailed { .. } => {
                "correct the policy's program, or make it ask less of so large a statement"
            }
            Self::NothingVouches => "name in the policy who has to sign the artifact",
            _ => return None,
        };
        Some(hint)
    }
}

/// Who signed, in words.
pub(crate) fn signer_found(subject: &str, issuer: &str) -> String {
    match issuer {
        "" => format!("`{subject}`, for whom no identity provider is named"),
        issuer => format!("`{subject}` vouched for by `{issuer}`"),
    }
}
