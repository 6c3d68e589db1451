//! One image of an index, by the platform that it is for, as an argument.

use std::fmt;
use std::str::FromStr;

use client::registry::manifest::Platform;
use client::registry::{Descriptor, ManifestContent};
use client::{Deadline, Registry};
use evidence::ImageRef;

use super::images;
use crate::exit::{Exit, Failure};

/// A platform as `OS/ARCHITECTURE` or `OS/ARCHITECTURE/VARIANT`. Without a variant each fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl FromStr for WantedPlatform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split('/').collect();
        let word = |text: &str| {
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            !text.is_empty() && text.bytes().all(fits)
        };
        match words[..] {
            [os, architecture] | [os, architecture, _] if words.iter().all(|text| word(text)) => {
                let variant = words.get(2).map(|&text| text.to_owned());
                Ok(Self { os: os.to_owned(), architecture: architecture.to_owned(), variant })
            }
            _ => Err("wanted a platform such as linux/amd64 or linux/arm/v7".to_owned()),
        }
    }
}

impl fmt::Display for WantedPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

impl WantedPlatform {
    fn fits(&self, child: &Descriptor) -> bool {
        child.platform.as_ref().is_some_and(|platform| {
            platform.os == self.os
                && platform.architecture == self.architecture
                && (self.variant.is_none() || platform.variant == self.variant)
        })
    }

    /// The image of an index that is for this platform, by digest.
    pub(crate) async fn choose(
        &self,
        registry: &Registry,
        index: &ImageRef,
        deadline: Deadline,
    ) -> Result<ImageRef, Failure> {
        let manifest = images::resolve(registry, index, deadline).await?;
        let ManifestContent::Index(content) = &manifest.content else {
            return Err(Failure::usage(format!("{index} is one image, for whatever platform"))
                .hint("leave --platform away"));
        };
        let fitting: Vec<_> = content.manifests.iter().filter(|child| self.fits(child)).collect();
        match fitting[..] {
            [only] => Ok(index.with_digest(only.digest)),
            [] => {
                let listed = content.manifests.iter().filter_map(|child| child.platform.as_ref());
                let listed: Vec<_> = listed.map(written).collect();
                let message = format!("{index} has no image for {self}");
                Err(Failure::new(Exit::Failure, message)
                    .hint(format!("it has images for {}", listed.join(", "))))
            }
            _ => {
                let digests: Vec<_> =
                    fitting.iter().map(|child| child.digest.to_string()).collect();
                let message = format!("{index} has {} images for {self}", fitting.len());
                Err(Failure::usage(message).hint(format!("name one: {}", digests.join(", "))))
            }
        }
    }
}

fn written(platform: &Platform) -> String {
    let Platform { os, architecture, variant } = platform;
    let variant = variant.as_ref().map(|variant| format!("/{variant}")).unwrap_or_default();
    crate::ui::plain(&format!("{os}/{architecture}{variant}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_written_as_docker_writes_them() {
        for good in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(good.parse::<WantedPlatform>().unwrap().to_string(), good);
        }
        for bad in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"] {
            assert!(bad.parse::<WantedPlatform>().is_err(), "{bad}");
        }
    }
}
