//! Fulcio's certificate extensions `1.3.6.1.4.1.57264.1.N`: who signed, from which source, how.
//!
//! Fulcio `oid-info.md`. Extensions 1 to 6 hold raw text; 8 and later hold a DER UTF8String.

use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, Utf8StringRef};
use der::{Decode, Reader, SliceReader};

use super::{Extension, ParseCertificateError};

const ARC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1");
/// Fulcio's `otherName` type for user names.
pub const USERNAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

macro_rules! fulcio_extensions {
    ($($number:literal $variant:ident $name:literal $doc:literal)*) => {
        /// One of Fulcio's extensions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FulcioExtension {
            $(#[doc = $doc] $variant,)*
        }

        impl FulcioExtension {
            /// Every extension, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The last arc of its object identifier.
            #[must_use]
            pub fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }

            /// Its name in Fulcio's `oid-info.md`, with the words run together.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

fulcio_extensions! {
    1 IssuerV1 "Issuer" "The identity provider's issuer URL, first form."
    2 WorkflowTrigger "GithubWorkflowTrigger" "The event that started a GitHub workflow."
    3 WorkflowSha "GithubWorkflowSHA" "The commit of a GitHub workflow."
    4 WorkflowName "GithubWorkflowName" "The name of a GitHub workflow."
    5 WorkflowRepository "GithubWorkflowRepository" "The repository of a GitHub workflow."
    6 WorkflowRef "GithubWorkflowRef" "The Git reference of a GitHub workflow."
    8 Issuer "IssuerV2" "The identity provider's issuer URL."
    9 BuildSignerUri "BuildSignerURI" "The build instructions that signed."
    10 BuildSignerDigest "BuildSignerDigest" "The version of those instructions."
    11 RunnerEnvironment "RunnerEnvironment" "Whether the build ran on hosted machines."
    12 SourceRepositoryUri "SourceRepositoryURI" "The source repository built."
    13 SourceRepositoryDigest "SourceRepositoryDigest" "The commit built."
    14 SourceRepositoryRef "SourceRepositoryRef" "The Git reference built."
    15 SourceRepositoryIdentifier "SourceRepositoryIdentifier" "The repository's immutable identifier."
    16 SourceRepositoryOwnerUri "SourceRepositoryOwnerURI" "The repository's owner."
    17 SourceRepositoryOwnerIdentifier "SourceRepositoryOwnerIdentifier"
        "The owner's immutable identifier."
    18 BuildConfigUri "BuildConfigURI" "The top-level build instructions."
    19 BuildConfigDigest "BuildConfigDigest" "The version of the top-level build instructions."
    20 BuildTrigger "BuildTrigger" "What started the build."
    21 RunInvocationUri "RunInvocationURI" "The one run of the build."
    22 SourceRepositoryVisibilityAtSigning "SourceRepositoryVisibilityAtSigning"
        "Whether the repository was public."
    23 DeploymentEnvironment "DeploymentEnvironment" "The environment deployed to."
    24 TokenSubject "TokenSubject" "The subject of the identity token."
}

impl FulcioExtension {
    /// The extension with that last arc.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|extension| extension.number() == number)
    }

    /// The extension with that object identifier.
    #[must_use]
    pub fn from_oid(oid: ObjectIdentifier) -> Option<Self> {
        // The last arc of every one of these is below 128, so it is one byte.
        match oid.as_bytes().strip_prefix(ARC.as_bytes())? {
            [number] => Self::from_number(*number),
            _ => None,
        }
    }

    /// Its object identifier.
    #[must_use]
    pub fn oid(self) -> ObjectIdentifier {
        ARC.push_arc(self.number().into()).expect("one arc more fits")
    }

    /// Whether the value is raw text, not a DER string.
    #[must_use]
    pub fn is_raw(self) -> bool {
        self.number() <= 6
    }
}

/// The Fulcio extensions found on a certificate, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FulcioExtensions(Vec<(FulcioExtension, String)>);

impl FulcioExtensions {
    /// The value of one extension.
    #[must_use]
    pub fn get(&self, extension: FulcioExtension) -> Option<&str> {
        self.0.iter().find(|(found, _)| *found == extension).map(|(_, value)| value.as_str())
    }

    /// The identity provider's issuer URL, in whichever of its two extensions it stands.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.get(FulcioExtension::Issuer).or_else(|| self.get(FulcioExtension::IssuerV1))
    }

    /// Extensions and values in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (FulcioExtension, &str)> {
        self.0.iter().map(|(extension, value)| (*extension, value.as_str()))
    }

    pub(super) fn from_extensions(extensions: &[Extension]) -> Result<Self, ParseCertificateError> {
        let mut found = Vec::new();
        for Extension { oid, value, .. } in extensions {
            let Some(known) = FulcioExtension::from_oid(*oid) else { continue };
            let bad_text = || ParseCertificateError::BadText { oid: *oid };
            let text = if known.is_raw() {
                std::str::from_utf8(value).map_err(|_| bad_text())?
            } else {
                Utf8StringRef::from_der(value).map_err(|_| bad_text())?.as_str()
            };
            found.push((known, text.to_owned()));
        }
        found.sort_unstable_by_key(|(extension, _)| *extension);
        let found = Self(found);
        match (found.get(FulcioExtension::IssuerV1), found.get(FulcioExtension::Issuer)) {
            (Some(v1), Some(v2)) if v1 != v2 => {
                Err(ParseCertificateError::TwoIssuers { v1: v1.to_owned(), v2: v2.to_owned() })
            }
            _ => Ok(found),
        }
    }
}

/// Reads the content of an `otherName`; `None` if it is of another type than Fulcio's.
pub(super) fn username(content: &[u8]) -> Result<Option<String>, der::Error> {
    let mut parts = SliceReader::new(content)?;
    if ObjectIdentifier::decode(&mut parts)? != USERNAME {
        return Ok(None);
    }
    // [0] EXPLICIT UTF8String
    let value = AnyRef::decode(&mut parts)?;
    parts.finish()?;
    Ok(Some(Utf8StringRef::from_der(value.value())?.as_str().to_owned()))
}
