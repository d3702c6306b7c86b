//! What a recipe says about an image: plain data that the packer's own specification is made from.

use std::collections::BTreeMap;

use super::{Location, OutputRef, Text};

/// An image as a recipe declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageDeclaration {
    /// The image's name, the repository part of its reference.
    pub name: String,
    /// The outputs whose closure is the image's content, in the recipe's order.
    pub packages: Vec<OutputRef>,
    /// The program that the image runs, with its fixed arguments.
    pub entrypoint: Option<Vec<Text>>,
    /// Arguments that a caller may replace.
    pub cmd: Vec<Text>,
    /// Environment variables.
    pub env: BTreeMap<String, Text>,
    /// Ports it listens on.
    pub ports: Vec<Port>,
    /// The user (and group) it runs as, numeric or from its packages; `None` is the packer's default.
    pub user: Option<String>,
    /// The directory it starts in; absolute. `None` is that of its base, else `/`.
    pub workdir: Option<Text>,
    /// Labels (annotations in the config).
    pub labels: BTreeMap<String, String>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Links at the image's root: absolute path → target; `None` links every program into `/bin`.
    pub links: Option<BTreeMap<String, Text>>,
    /// Small files at the image's root: absolute path → content.
    pub files: BTreeMap<String, Text>,
    /// The same for programs, such as a script that starts the app.
    pub executables: BTreeMap<String, Text>,
    /// Directories that hold data of their own; absolute.
    pub volumes: Vec<String>,
    /// The signal that ends it, `SIGTERM`.
    pub stop_signal: Option<String>,
    /// How to know whether it is well.
    pub health_check: Option<HealthCheck>,
    /// Layers that it wants, by name, each with patterns of the names of what is in it; in the recipe's order.
    pub layers: Vec<(String, Vec<String>)>,
    /// The image below, as the recipe names it: a file, or an image in a registry.
    pub base: Option<String>,
    /// Where the recipe declares it.
    pub origin: Location,
}

/// A command that says whether a container is well: by exit status 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The program and its arguments; never empty.
    pub command: Vec<Text>,
    /// Seconds between two runs.
    pub interval: Option<u32>,
    /// Seconds after which a run counts as failed.
    pub timeout: Option<u32>,
    /// Seconds after the start in which failures do not count.
    pub start_period: Option<u32>,
    /// How many failures in a row make a container unhealthy.
    pub retries: Option<u32>,
}

/// A port and its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The number; never 0.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// The protocol of a [`Port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}
