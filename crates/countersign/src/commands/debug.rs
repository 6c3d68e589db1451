//! `debug`: what this program sees of the machine that it runs on.

use clap::{Args, Subcommand};
use client::oidc::{self, Ambient, Places, Provider};

use crate::arguments::network::http_client;
use crate::exit::{Exit, Failure};
use crate::ui::terminal::println;
use crate::{machine, ui};

/// See what this program sees of the machine that it runs on.
#[derive(Debug, Args)]
pub(crate) struct Debug {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Providers(Providers),
}

/// List the places that identity tokens come from in CI systems and clouds, and which of them are here.
///
/// They are listed in the order in which they are tried. Nobody is asked for a token.
#[derive(Debug, Args)]
struct Providers {}

impl Debug {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self.what {
            What::Providers(Providers {}) => providers(),
        }
    }
}

fn providers() -> Result<Exit, Failure> {
    let (environment, http, places) = (machine::environment(), http_client()?, Places::default());
    let ambient = Ambient { environment: &environment, http: &http, places: &places };
    let is_there = |provider: &Provider| ambient.is_there(*provider, oidc::AUDIENCE);
    for provider in Provider::ALL {
        println!("{}: {}", provider.name(), is_there(&provider));
    }
    match Provider::ALL.iter().find(|provider| is_there(provider)) {
        Some(first) => ui::note(&format!("{} is asked for a token", first.name())),
        None => ui::note("no token is offered here: log in, or pass one with --identity-token"),
    }
    Ok(Exit::Success)
}
