//! `--platform`: what packages are made for, in the words of images, and in those of recipes.

use pack::existing::AnyPlatform;
use pack::oci::{Architecture, Platform as ImagePlatform};
use recipes::model::Platform;
use thiserror::Error;

use crate::error::{CommandError, ExitStatus};

/// What packages are made for unless a command says otherwise: this machine.
pub(crate) fn native_platform() -> Platform {
    Platform::native().unwrap_or(Platform::X86_64Linux)
}

/// The platforms that were asked for, sorted and each once; that of this machine where none was.
pub(crate) fn asked_platforms(asked: &[ImagePlatform]) -> Vec<Platform> {
    let mut platforms: Vec<Platform> = asked
        .iter()
        .map(|platform| match platform.architecture {
            Architecture::Amd64 => Platform::X86_64Linux,
            Architecture::Arm64 => Platform::Aarch64Linux,
        })
        .collect();
    if platforms.is_empty() {
        platforms.push(native_platform());
    }
    platforms.sort_unstable();
    platforms.dedup();
    platforms
}

/// What an image for a platform says of itself.
pub(crate) fn image_platform(platform: Platform) -> ImagePlatform {
    ImagePlatform::linux(match platform {
        Platform::X86_64Linux => Architecture::Amd64,
        Platform::Aarch64Linux => Architecture::Arm64,
    })
}

/// A platform was chosen of something that has no choice.
#[derive(Debug, Error)]
#[error(
    "`--platform` chooses one of those that an image is for, and `{target}` is a target: it is made for {own}"
)]
struct PlatformOfTarget {
    target: String,
    own: String,
}

/// Fails where another platform is chosen of a target, which is made for `made_for`: the answer would not be about what was asked.
pub(crate) fn refuse_platform(
    target: &str,
    platform: Option<&AnyPlatform>,
    made_for: Platform,
) -> Result<(), CommandError> {
    let own = image_platform(made_for).to_string();
    let Some(platform) = platform.filter(|platform| platform.to_string() != own) else {
        return Ok(());
    };
    let target = target.to_owned();
    let hint = format!(
        "`pith pack {target} --platform {platform} -o FILE` makes an image that can be asked about"
    );
    Err(CommandError::new(ExitStatus::Usage, PlatformOfTarget { target, own }).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_sorted_and_each_is_there_once() {
        let asked: Vec<ImagePlatform> = ["linux/arm64", "linux/amd64", "linux/arm64/v8"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let platforms = asked_platforms(&asked);
        assert_eq!(platforms, [Platform::X86_64Linux, Platform::Aarch64Linux]);
        assert_eq!(asked_platforms(&[]), [native_platform()]);
        for platform in platforms {
            assert_eq!(asked_platforms(&[image_platform(platform)]), [platform]);
        }
    }
}
