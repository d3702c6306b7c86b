//! Which of a release's files a platform gets, by their names alone (PyPA, "Binary distribution format" and "Platform
//! compatibility tags").

use super::Target;

/// The newest glibc whose wheels are taken; the collection's is 2.36.
const GLIBC_MINOR: u32 = 36;

/// How well a wheel fits; greater is better. What is compared first stands first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    interface: Interface,
    /// The minor version of Python that it was made for.
    minor: u32,
    /// 0 for any platform; else one more than the minor version of glibc that it needs.
    platform: u32,
}

/// What a wheel needs of Python, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Interface {
    /// The language.
    Language,
    /// CPython, and no interface of its own.
    Implementation,
    /// The stable interface.
    Stable,
    /// The interface of this very version.
    Exact,
}

/// Returns how well the wheel called `file` fits, if it does; a file of another kind never does.
pub(super) fn fit(file: &str, target: &Target) -> Option<Fit> {
    let parts: Vec<&str> = file.strip_suffix(".whl")?.split('-').collect();
    let [.., pythons, interfaces, platforms] = parts.as_slice() else {
        return None;
    };
    if !(5..=6).contains(&parts.len()) {
        return None;
    }
    let mut best = None;
    for python in pythons.split('.') {
        for interface in interfaces.split('.') {
            for platform in platforms.split('.') {
                best = best.max(one(python, interface, platform, target));
            }
        }
    }
    best
}

fn one(python: &str, interface: &str, platform: &str, target: &Target) -> Option<Fit> {
    let platform = match platform {
        "any" => 0,
        _ => 1 + glibc_minor(platform, target.machine).filter(|minor| *minor <= GLIBC_MINOR)?,
    };
    let ours = target.minor();
    let minor_after = |prefix: &str| -> Option<u32> { python.strip_prefix(prefix)?.parse().ok() };
    let fit = |interface, minor| Fit {
        interface,
        minor,
        platform,
    };
    if let Some(minor) = minor_after("cp3") {
        return match interface {
            "abi3" if minor <= ours => Some(fit(Interface::Stable, minor)),
            "none" if minor == ours => Some(fit(Interface::Implementation, minor)),
            _ if minor == ours && interface == format!("cp3{minor}") => {
                Some(fit(Interface::Exact, minor))
            }
            _ => None,
        };
    }
    let minor = match python {
        "py3" => 0,
        _ => minor_after("py3")?,
    };
    (interface == "none" && minor <= ours).then(|| fit(Interface::Language, minor))
}

/// The minor version of glibc that a platform tag asks for.
fn glibc_minor(platform: &str, machine: &str) -> Option<u32> {
    let system = platform.strip_suffix(machine)?.strip_suffix('_')?;
    match system {
        "linux" => Some(0),
        "manylinux1" => Some(5),
        "manylinux2010" => Some(12),
        "manylinux2014" => Some(17),
        _ => system.strip_prefix("manylinux_2_")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            python: "3.11.2".to_owned(),
            machine: "x86_64",
        }
    }

    #[test]
    fn the_more_a_wheel_is_made_for_the_platform_the_better() {
        let best_first = [
            "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-linux_x86_64.whl",
            "a-1-cp311-abi3-manylinux_2_34_x86_64.whl",
            "a-1-cp38-abi3-manylinux2014_x86_64.whl",
            "a-1-cp311-none-any.whl",
            "a-1-py3-none-manylinux1_x86_64.whl",
            "a-1-1build-py2.py3-none-any.whl",
        ];
        let fits: Vec<_> = best_first.iter().map(|file| fit(file, &target())).collect();
        assert!(fits.iter().all(Option::is_some), "{fits:?}");
        assert!(fits.is_sorted_by(|a, b| a > b), "{fits:?}");
    }

    #[test]
    fn what_would_not_run_does_not_fit() {
        for file in [
            "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
            "a-1-cp312-abi3-manylinux_2_17_x86_64.whl",
            "a-1-cp311-cp311-musllinux_1_2_x86_64.whl",
            "a-1-cp311-cp311-manylinux_2_17_aarch64.whl",
            "a-1-cp311-cp311-manylinux_2_39_x86_64.whl",
            "a-1-cp311-cp311-win_amd64.whl",
            "a-1-cp311-cp311t-manylinux_2_17_x86_64.whl",
            "a-1-py2-none-any.whl",
            "a-1.tar.gz",
            "any.whl",
        ] {
            assert_eq!(fit(file, &target()), None, "{file}");
        }
    }
}
