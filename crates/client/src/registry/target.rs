//! The repository that evidence is kept in, where that is not the image's own
//! (`COSIGN_REPOSITORY`): exactly the one named, for all images, with nothing appended.

use std::fmt;
use std::str::FromStr;

use evidence::ImageRef;
use evidence::image::ParseImageRefError;

/// A repository for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRepository(ImageRef);

/// Why text names no [`TargetRepository`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTargetError {
    /// No repository.
    #[error("wanted a repository such as `registry.example/signatures`")]
    Repository(#[from] ParseImageRefError),
    /// A tag or a digest, which would have no meaning.
    #[error("wanted a repository without tag and digest, found `{found}`")]
    Reference {
        /// What was given.
        found: String,
    },
}

impl TargetRepository {
    /// Where evidence for an image goes and is looked for: the image's tag and digest, here.
    #[must_use]
    pub fn of(&self, image: &ImageRef) -> ImageRef {
        let tagged = image.tag().and_then(|tag| self.0.with_tag(tag).ok());
        let placed = tagged.unwrap_or_else(|| self.0.clone());
        image.digest().map_or(placed.clone(), |digest| placed.with_digest(*digest))
    }
}

impl FromStr for TargetRepository {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let image: ImageRef = text.parse()?;
        // Without either, the tag is the one that is left out in writing.
        let bare =
            image.digest().is_none() && image.tag() == Some("latest") && !text.ends_with(":latest");
        if bare {
            Ok(Self(image))
        } else {
            Err(ParseTargetError::Reference { found: text.to_owned() })
        }
    }
}

impl fmt::Display for TargetRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}
