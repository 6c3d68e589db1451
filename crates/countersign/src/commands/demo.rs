//! `demo`: the whole story on one machine, told by the commands that tell it everywhere else.
//!
//! Whatever a user would do is done as a user would: this program is started again for `serve`,
//! `sign`, `verify` and `admit`, and spoken to over HTTP. Only the identity provider and the
//! registry are in this process, and they are `devkit`'s. Every outcome is checked, those that are
//! refusals too; the first that is not as it must be ends the demo with a failure.

mod by_hand;
mod images;
mod pods;
mod program;
mod search;
mod webhook;
mod world;

use std::future::Future;
use std::path::Path;
use std::time::Instant;

use clap::Args;
use tempfile::TempDir;
use url::Url;

use crate::exit::{Exit, Failure};
use crate::{runtime, ui};
use program::Server;
use world::{Signers, World};

/// See it all: an image signed by a CI job, logged, verified and admitted, and three others refused.
///
/// Runs a private instance, a webhook, an identity provider and a registry on 127.0.0.1 for a few
/// seconds, with all files in a temporary directory. Needs no network and no other program. Exit
/// code 0: all was as it must be; 1: something was not.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Leave everything running until Ctrl-C, and print lines to try by hand.
    #[arg(long)]
    keep: bool,
}

/// What can be tried by hand once the story is told.
struct Told {
    world: World,
    signers: Signers,
    instance: Url,
    webhook: Url,
}

impl Demo {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let directory = TempDir::with_prefix("countersign-demo-").map_err(|error| {
            Failure::new(Exit::Failure, "cannot make a temporary directory")
                .caused_by(error)
                .hint("name a directory that can be written to in TMPDIR")
        })?;
        let played = runtime::block_on(self.play(directory.path()));
        if self.keep {
            ui::demo::kept(&directory.keep());
            return played;
        }
        let path = directory.path().to_owned();
        let removed = directory.close().map_err(|error| {
            Failure::new(Exit::Failure, format!("{} was not removed", path.display()))
                .caused_by(error)
        });
        played.and_then(|exit| removed.map(|()| exit))
    }

    async fn play(&self, directory: &Path) -> Result<Exit, Failure> {
        let started = Instant::now();
        ui::demo::began();
        let mut servers = Vec::new();
        let told = tokio::select! {
            told = tell(directory, &mut servers) => told,
            () = runtime::stop_asked() => {
                Err(Failure::new(Exit::Failure, "stopped before the end"))
            }
        };
        if let Ok(told) = &told {
            ui::demo::ended(started.elapsed());
            if self.keep {
                ui::demo::by_hand(&told.by_hand()?);
                runtime::stop_asked().await;
            } else {
                ui::demo::read_on();
            }
        }
        for server in servers {
            server.stop().await;
        }
        told.map(|_| Exit::Success)
    }
}

/// The story. The servers that it starts are the caller's to stop, however it ends.
async fn tell(directory: &Path, servers: &mut Vec<Server>) -> Result<Told, Failure> {
    let world = World::create(directory).await?;
    let signers = world.open_jobs()?;
    let release = signers.release.workflow.certificate_identity();

    let title = "Start an instance: certificate authority, transparency log, timestamps";
    let instance = step(1, title, world.start_instance(servers)).await?;

    let title = "Push an image for two platforms";
    let signed = step(2, title, world.push_signed()).await?;

    let title = "Sign it, in the GitHub Actions job of octo-org/app that releases it";
    step(3, title, world.sign(&signed, &signers.release)).await?;

    let title = "Verify it: who signed, and when others saw it";
    let entry = step(4, title, world.verify(&signed, &release)).await?;

    let title = "Find it in the log, knowing nothing but the image's digest";
    step(5, title, world.search(&instance, &signed, &release, &entry)).await?;

    let title = "Push three images that the release workflow never signed";
    let others = step(6, title, world.push_others(&signed, &signers.fork)).await?;

    let title = "Start the admission webhook: what the release workflow signed may run";
    let webhook = step(7, title, world.start_webhook(servers, &release)).await?;

    let title = "Create four Pods: /mutate pins a tag to its digest, /validate judges the digest";
    let pushed: Vec<_> = [signed].into_iter().chain(others).collect();
    step(8, title, world.create_pods(&webhook, &pushed)).await?;
    Ok(Told { world, signers, instance, webhook })
}

/// Tells of a step, and names it should it fail.
async fn step<T>(
    number: usize,
    title: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    ui::demo::step(number, title);
    work.await.map_err(|failure| failure.within(&format!("step {number}")))
}
