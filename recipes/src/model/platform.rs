//! The machines for which pith builds.

use std::fmt;
use std::str::FromStr;

/// An operating system and processor for which a derivation's outputs are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Platform {
    /// Linux on 64-bit x86.
    X86_64Linux,
    /// Linux on 64-bit Arm.
    Aarch64Linux,
}

impl Platform {
    /// Every platform, sorted by [`Platform::system`].
    pub const ALL: [Self; 2] = [Self::Aarch64Linux, Self::X86_64Linux];

    /// Returns the platform of the machine that this program was compiled for, if pith builds for it.
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            Some(Self::X86_64Linux)
        } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
            Some(Self::Aarch64Linux)
        } else {
            None
        }
    }

    /// Returns the name that derivations carry, `<processor>-<operating system>`: `x86_64-linux`.
    pub const fn system(self) -> &'static str {
        match self {
            Self::X86_64Linux => "x86_64-linux",
            Self::Aarch64Linux => "aarch64-linux",
        }
    }

    /// Returns the operating system in OCI's spelling (image-spec 1.1, config.md, `os`).
    pub const fn os(self) -> &'static str {
        "linux"
    }

    /// Returns the processor in OCI's spelling (image-spec 1.1, config.md, `architecture`), which is Debian's too: `amd64`.
    pub const fn arch(self) -> &'static str {
        match self {
            Self::X86_64Linux => "amd64",
            Self::Aarch64Linux => "arm64",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.system())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.system() == text)
            .ok_or_else(|| UnknownPlatform {
                name: text.to_owned(),
            })
    }
}

/// The text names no platform for which pith builds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no platform; pith knows `aarch64-linux` and `x86_64-linux`")]
pub struct UnknownPlatform {
    /// The text as it was written.
    pub name: String,
}
