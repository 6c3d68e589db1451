//! Whether registries would take what is going to lie beside images. That is known before anything
//! becomes public, because what is in a log stays there, whether or not its evidence found a place.

use std::collections::BTreeMap;

use client::error::FetchErrorKind;
use client::registry::NoPushError;
use client::{Deadline, Registry};
use evidence::ImageRef;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::images;
use crate::exit::{Exit, Failure};

/// Repositories that are asked about at once.
const CONCURRENT: usize = 8;

/// The repositories that evidence goes to, each asked about once at most.
pub(crate) struct PushRights<'r> {
    registry: &'r Registry,
    places: BTreeMap<String, Place>,
}

struct Place {
    /// Any image of the repository.
    image: ImageRef,
    found_out: OnceCell<()>,
}

impl<'r> PushRights<'r> {
    /// Of where evidence about these images is kept.
    pub(crate) fn of<'i>(
        registry: &'r Registry,
        images: impl Iterator<Item = &'i ImageRef>,
    ) -> Result<Self, Failure> {
        let mut places = BTreeMap::new();
        for image in images {
            let image = images::evidence_place(image)?;
            let found_out = OnceCell::new();
            places.entry(image.name()).or_insert(Place { image, found_out });
        }
        Ok(Self { registry, places })
    }

    /// Finds out whether all of them may be pushed to.
    pub(crate) async fn check_all(&self, ends: impl Fn() -> Deadline) -> Result<(), Failure> {
        stream::iter(self.places.values())
            .map(|place| async {
                let found = self.check_place(place, ends()).await;
                found.map_err(|error| not_pushable("nothing was signed", error))
            })
            .buffer_unordered(CONCURRENT)
            .try_collect()
            .await
    }

    /// Finds out whether the one that evidence about this image goes to may be pushed to.
    pub(crate) async fn check(&self, image: &ImageRef, deadline: Deadline) -> Result<(), Failure> {
        match self.places.get(&images::evidence_place(image)?.name()) {
            // Others may be signed by now.
            Some(place) => self
                .check_place(place, deadline)
                .await
                .map_err(|error| not_pushable(&format!("{image} was not signed"), error)),
            None => Ok(()),
        }
    }

    async fn check_place(&self, place: &Place, deadline: Deadline) -> Result<(), NoPushError> {
        let Place { image, found_out } = place;
        let check = || self.registry.check_push(image, deadline);
        found_out.get_or_try_init(check).await.copied()
    }
}

/// What the user is told: what the registry forbids has failed, and who could not be asked may let us.
fn not_pushable(what: &str, error: NoPushError) -> Failure {
    let exit = match error.fetch_error().kind() {
        FetchErrorKind::RateLimited { .. }
        | FetchErrorKind::TimedOut(_)
        | FetchErrorKind::Unreachable(_)
        | FetchErrorKind::Tls(_)
        | FetchErrorKind::ServerError { .. } => Exit::Unknown,
        _ => Exit::Failure,
    };
    let hint = error.hint();
    let failure = Failure::new(exit, what).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
