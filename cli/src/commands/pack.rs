//! `pith pack`: the closure of a target as an image.

use std::path::{Path, PathBuf};

use clap::Args;
use pack::attest::{DocumentFormat, Parameters};
use pack::existing::ExistingImage;
use pack::oci::{Digest, ManifestType, Platform as ImagePlatform, Timestamp};
use pack::registry::{PushOptions, Pushed};
use pack::{
    Base, BaseReport, Compression, Emit, Format, Image, ImageName, ImageReport, ImageSpec,
    PackOptions, SinkError, Written,
};
use recipes::model::Platform;
use serde::Serialize;
use store::LocalStore;
use store::registry::Repository;
use thiserror::Error;

use super::image::{ImagePlace, find_base};
use crate::attest::{AttestArgs, Attester};
use crate::bill_place::check_bill_place;
use crate::budget::check_budget;
use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::date::claimed_time;
use crate::debian_lock::lock_for_all;
use crate::deployed::{deployed_as, without_directory};
use crate::engine::{Engine, Loaded, load};
use crate::error::{CommandError, ExitStatus};
use crate::explained::explain_layers;
use crate::image::spec_of;
use crate::layers::{LayerArgs, tell_unmatched};
use crate::output::{PackProgress, human_bytes, plural};
use crate::platform::asked_platforms;
use crate::realise::{Realised, realise};
use crate::registry::{
    RegistryArgs, digest_reference, note_pushed, open_registry, parse_reference, usual_compression,
};
use crate::select::{Want, select_all};
use crate::selection::Selection;
use crate::shared_layers::learn_layers;
use crate::size::Size;
use crate::streamed::{check_stream, is_stdout, write_stream};
use crate::target::{Subject, Target};

/// Pack the closure of targets into an image
///
/// Without a declared image of that name, the image runs the program called as the first target is.
#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// An image that the project declares, or packages
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// archive (also oci-archive, docker-archive), oci, tar, dir, bundle, squashfs, run or initramfs
    #[arg(short, long, value_name = "FORMAT", default_value = "archive")]
    format: Format,
    /// Where to write it; NAME.tar, NAME.squashfs or the like, NAME for a directory, by default, and nowhere with `--push` or `--load`; `-` is standard output, for archives, tar and initramfs
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Send it to a registry, `registry.example/team/app:1.0`, straight from the store; may be repeated
    #[arg(long = "push", value_name = "REF", value_parser = parse_reference)]
    pushes: Vec<ImageName>,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    attest: AttestArgs,
    /// Hand it to podman or docker, without a file; may be repeated
    #[arg(long = "load", value_name = "ENGINE")]
    engines: Vec<Engine>,
    /// The name and tag of the image; the first target's name and `latest` by default
    #[arg(short, long, value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// Put it on IMAGE: an archive, a layout directory, or a name in a registry, best with its digest
    ///
    /// Its layers come first, as they are, and it is run as IMAGE is where nothing else is said. Only for archives, layouts and registries.
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// What it runs on, linux/amd64 or linux/arm64, this machine by default; several, in oci and archives, make an index
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<ImagePlatform>,
    #[command(flatten)]
    layers: LayerArgs,
    /// gzip, zstd or none; none for podman alone, what its settings say for a registry alone, else gzip
    #[arg(long, value_name = "COMPRESSION")]
    compression: Option<Compression>,
    /// The words of manifest and configuration, oci or docker: podman keeps health checks only of the latter
    #[arg(long, value_name = "TYPE", default_value = "oci")]
    manifest_type: ManifestType,
    /// When the image claims to be made, 2026-11-22T10:00:00Z or seconds since 1970; $SOURCE_DATE_EPOCH or 1 by default
    #[arg(long, value_name = "TIME")]
    created: Option<Timestamp>,
    /// Fail with exit status 3, before anything is written, when the files are more than SIZE, such as 20MB
    #[arg(long, value_name = "SIZE")]
    budget: Option<Size>,
    /// Write the bill of materials to PATH too: the one that is in the image, SPDX 2.3, unless `--sbom-format` says otherwise
    #[arg(long, value_name = "PATH")]
    sbom: Option<PathBuf>,
    /// What the bill at PATH is, with everything that `pith sbom` has, and the image's digest: cyclonedx, spdx3, spdx or spdx-tv
    #[arg(long, value_name = "FORMAT", requires = "sbom")]
    sbom_format: Option<DocumentFormat>,
    /// Print a document that deploys the image, hardened: compose, k8s or systemd
    ///
    /// It names the image by its digest, in the registry of the first `--push`. Without one it is found where it has been loaded with that digest: podman and containerd keep it, docker does not. Where it is, and in which file, goes to standard error then.
    #[arg(long, value_name = "KIND")]
    emit: Option<Emit>,
    /// Pack what cannot start, too
    ///
    /// Otherwise the program, its interpreter and the libraries that the loader will look for must be in the image.
    #[arg(long)]
    no_check: bool,
    /// Show which store paths are in which layer, why, and how much of it changes
    #[arg(long)]
    explain: bool,
}

/// The report of `--json`.
#[derive(Debug, Serialize)]
struct Report {
    /// Where it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    manifest: Option<String>,
    /// Bytes of tar that were made from the store; 0 when the output was there already.
    bytes_read: u64,
    unchanged: bool,
    /// The registries that have it now, in the order of the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pushed: Vec<Pushed>,
    /// The engines that have it now, in the order of the command line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loaded: Vec<Loaded>,
    /// What deploys the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    /// The image, where it is for one platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<ImageReport>,
    /// The images of an index, sorted by platform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageReport>,
}

/// Something was asked for that exists for one platform only.
#[derive(Debug, Error)]
#[error("`{0}` is for an image for one platform")]
struct OnePlatform(&'static str);

/// An image before it is made.
struct Planned {
    realised: Realised,
    spec: ImageSpec,
    base: Option<ImagePlace>,
}

/// Builds, packs and prints where the image is.
pub(crate) fn pack(args: &PackArgs, context: &Context) -> Result<(), CommandError> {
    let platforms = asked_platforms(&args.platforms);
    check_output(args, context)?;
    let registries = open_registries(args, context)?;
    let created = claimed_time(args.created, context)?;
    if platforms.len() > 1 {
        check_platforms(args)?;
        lock_targets(args, context, &platforms)?;
    }
    let store = context.open_store()?;
    let options = PackOptions {
        compression: args.compression(context),
        manifest_type: args.manifest_type,
        check_start: !args.no_check,
        ..PackOptions::default()
    };
    let options = args.layers.apply(context, options)?;
    let printer = context.printer();
    printer.detail(&format!("layers are compressed by {}", options.compression));
    let progress = PackProgress::new(context.printer());
    let events = |event: pack::Event<'_>| progress.show(&event);
    let mut title = String::new();
    let parameters = args.parameters(&platforms, &options);
    let attester = (args.attest).attester(parameters, &platforms, created, context)?;
    let mut planned = Vec::with_capacity(platforms.len());
    for platform in platforms {
        let evaluator = context.evaluator_for(platform);
        let selections = select_all(context, &evaluator, &args.targets, Want::Image)?;
        let realised = realise(context, &store, &selections, &RealiseOptions::default())?;
        if let Some(budget) = args.budget {
            check_budget(&store.closure(&realised.paths)?, budget)?;
        }
        title = selections.first().map(Selection::title).unwrap_or_default();
        let name = args.name.clone().unwrap_or_else(|| title.clone());
        let mut spec = spec_of(&selections, &name, platform, &realised.paths)?;
        spec.created = created;
        planned.push(Planned {
            base: find_base(args.base.as_deref(), &selections, &args.registry, context)?,
            realised,
            spec,
        });
    }
    let bases = planned.iter().map(|one| one.base.as_ref());
    let bases = bases.map(|base| base.map(ImagePlace::open).transpose());
    let bases: Vec<Option<ExistingImage<'_>>> = bases.collect::<Result<_, _>>()?;
    let mut images = Vec::with_capacity(planned.len());
    for (Planned { realised, spec, .. }, base) in planned.iter().zip(&bases) {
        let paths = &realised.paths;
        images.push(match base {
            None => Image::new(&store, paths, spec, &options, &events)?,
            Some(base) => {
                let base = Base::recall(base, &spec.platform, &store)?;
                Image::on_base(&store, paths, spec, &options, &events, base)?
            }
        });
    }
    tell_oddities(&images, &planned, &store, context)?;
    if !registries.is_empty() {
        learn_layers(context, &store, &mut images)?;
    }
    let outcome = deliver(args, context, &images, &title, &registries)?;
    let packed = Packed {
        images: &images,
        planned: &planned,
        store: &store,
    };
    packed.write_bill(args, &attester, context)?;
    for place in args.pushes.iter().zip(&registries) {
        packed.attach(&attester, context, place)?;
    }
    report(args, context, outcome)
}

/// Says what is no error, and may not be meant.
fn tell_oddities(
    images: &[Image<'_>],
    planned: &[Planned],
    store: &LocalStore,
    context: &Context,
) -> Result<(), CommandError> {
    let declared = planned.first().map(|one| &one.spec.layer_rules);
    if let Some(rules) = declared.filter(|rules| !rules.is_empty()) {
        let closures = planned.iter().map(|one| store.closure(&one.realised.paths));
        let closures = closures.collect::<Result<Vec<_>, _>>()?;
        tell_unmatched(rules, &closures, context);
    }
    for image in images.iter().filter(|image| !image.has_program()) {
        let name = image.name().base_name();
        context.printer().note(&format!(
            "the image `{name}` has no program of its own: whoever runs it has to name one"
        ));
    }
    Ok(())
}

/// Images with what they were made of.
struct Packed<'a> {
    images: &'a [Image<'a>],
    planned: &'a [Planned],
    store: &'a LocalStore,
}

impl Packed<'_> {
    /// Writes the bill of the only image where it is wanted in a format of its own.
    fn write_bill(
        &self,
        args: &PackArgs,
        attester: &Attester,
        context: &Context,
    ) -> Result<(), CommandError> {
        let (Some(path), Some(format)) = (&args.sbom, args.sbom_format) else {
            return Ok(());
        };
        for (image, Planned { realised, .. }) in self.images.iter().zip(self.planned) {
            let bill = attester.bill(context, self.store, image, &realised.paths, format)?;
            pack::write_file(&context.directory().join(path), &bill)?;
        }
        Ok(())
    }

    /// Keeps the documents of each image beside it, where it was pushed.
    fn attach(
        &self,
        attester: &Attester,
        context: &Context,
        place: (&ImageName, &Repository),
    ) -> Result<(), CommandError> {
        let mut attached = 0;
        for (image, Planned { realised, .. }) in self.images.iter().zip(self.planned) {
            attached += attester.attach(context, self.store, image, &realised.paths, place)?;
        }
        if attached > 0 {
            let documents = plural(attached, "document");
            let said = format!("attached {documents}: {}", attester.kinds());
            context.printer().note(&said);
        }
        Ok(())
    }
}

/// Brings the images to where they are wanted.
fn deliver(
    args: &PackArgs,
    context: &Context,
    images: &[Image<'_>],
    title: &str,
    registries: &[Repository],
) -> Result<Outcome, CommandError> {
    let (image, others) = images.split_first().expect("there is always a platform");
    let written = if args.is_streamed() {
        write_stream(image, others, args.format)?;
        None
    } else if args.is_written() {
        // The name of an image may have directories of a registry before it.
        let title = title.rsplit('/').next().unwrap_or(title);
        let file = match args.format.extension() {
            Some(extension) => format!("{title}.{extension}"),
            None => title.to_owned(),
        };
        let output = context
            .directory()
            .join(args.output.as_deref().unwrap_or(Path::new(&file)));
        Some(image.write_with(others, args.format, &output)?)
    } else {
        None
    };
    let mut pushed = Vec::with_capacity(registries.len());
    for (name, registry) in args.pushes.iter().zip(registries) {
        pushed.push(image.push_with(others, name, registry, &PushOptions::default())?);
    }
    let mut loaded = Vec::with_capacity(args.engines.len());
    for engine in &args.engines {
        loaded.push(load(*engine, image, context)?);
    }
    if let (Some(path), None) = (&args.sbom, args.sbom_format) {
        image.write_sbom(&context.directory().join(path))?;
    }
    args.layers.write_plan(context, images)?;
    let document = match args.emit {
        None => None,
        Some(emit) => {
            let pushed = args.pushes.first().zip(pushed.first());
            let reference = deployed_as(image, pushed, written.as_ref(), context.printer())?;
            Some(image.emit(emit, &reference))
        }
    };
    Ok(Outcome {
        images: images.iter().map(Image::report).collect(),
        document,
        written,
        pushed,
        loaded,
    })
}

impl PackArgs {
    /// How layers are compressed.
    fn compression(&self, context: &Context) -> Compression {
        match self.compression {
            Some(compression) => compression,
            None if self.is_written() => Compression::default(),
            None if self.engines.is_empty() => usual_compression(context, &self.pushes),
            // It is unpacked at once, twice: that takes longer than writing more bytes.
            None if self.pushes.is_empty() && self.is_for(Engine::Podman) => Compression::None,
            None => Compression::default(),
        }
    }

    /// Whether no other engine takes the image.
    fn is_for(&self, engine: Engine) -> bool {
        self.engines.iter().all(|other| *other == engine)
    }

    /// What was asked for, as the provenance of the image says it.
    fn parameters(&self, platforms: &[Platform], options: &PackOptions) -> Parameters {
        let stable_paths = options.stable_paths.to_string();
        let max_layers = options.max_layers.to_string();
        let choices = [
            ("compression", options.compression.to_string()),
            ("manifest-type", options.manifest_type.to_string()),
            ("max-layers", max_layers),
            ("stable-paths", stable_paths),
        ];
        let plan = options
            .plan
            .as_ref()
            .map(|plan| ("plan", Digest::of(plan.to_text().as_bytes()).to_string()));
        let base = self
            .base
            .as_deref()
            .map(|base| ("base", without_directory(base)));
        let choices = choices.into_iter().chain(plan).chain(base);
        Parameters {
            targets: self.targets.clone(),
            platforms: platforms.iter().map(ToString::to_string).collect(),
            options: choices
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }

    /// Whether the output is standard output.
    fn is_streamed(&self) -> bool {
        self.output.as_deref().is_some_and(is_stdout)
    }

    /// Whether there is an output on this disk, or on standard output.
    fn is_written(&self) -> bool {
        self.output.is_some() || (self.pushes.is_empty() && self.engines.is_empty())
    }
}

/// What came of packing.
struct Outcome {
    images: Vec<ImageReport>,
    written: Option<Written>,
    pushed: Vec<Pushed>,
    loaded: Vec<Loaded>,
    document: Option<String>,
}

/// Opens the registries that the image goes to, so that nothing is built in vain.
fn open_registries(args: &PackArgs, context: &Context) -> Result<Vec<Repository>, CommandError> {
    args.pushes
        .iter()
        .map(|name| open_registry(context, name, args.registry.plaintext()))
        .collect()
}

/// Refuses, before anything is built, an output that cannot be what is asked for.
fn check_output(args: &PackArgs, context: &Context) -> Result<(), CommandError> {
    if args.base.is_some() && args.is_written() && !args.format.holds_base() {
        let format = args.format;
        return Err(SinkError::OnBase { format }.into());
    }
    if args.is_streamed() {
        let taken = [
            ("--emit", args.emit.is_some()),
            ("--explain", args.explain),
            ("--json", context.printer().is_json()),
        ];
        check_stream(args.format, &taken)?;
    }
    check_bill_place(args.sbom.as_deref(), args.output.as_deref(), context)
}

/// Refuses, before anything is built, what cannot be had for several platforms.
fn check_platforms(args: &PackArgs) -> Result<(), CommandError> {
    let single = [
        (!args.engines.is_empty()).then_some("--load"),
        args.sbom.as_ref().map(|_| "--sbom"),
    ];
    if let Some(flag) = single.into_iter().flatten().next() {
        let error = CommandError::new(ExitStatus::Usage, OnePlatform(flag));
        return Err(error.hint("pack each platform by itself for that"));
    }
    let format = args.format;
    if !args.is_written() || format.holds_platforms() {
        return Ok(());
    }
    let error = SinkError::OnePlatform { format };
    Err(CommandError::new(ExitStatus::Usage, error).hint(
        "`-f oci` and `-f oci-archive` hold several; for others pack each platform by itself",
    ))
}

/// Locks the packages of Debian among the targets for all platforms, where a project has no lock file.
fn lock_targets(
    args: &PackArgs,
    context: &Context,
    platforms: &[Platform],
) -> Result<(), CommandError> {
    for target in &args.targets {
        if let Subject::Debian(names) = target.parse::<Target>()?.subject {
            lock_for_all(context, &names, platforms)?;
        }
    }
    Ok(())
}

fn report(args: &PackArgs, context: &Context, outcome: Outcome) -> Result<(), CommandError> {
    let printer = context.printer();
    if printer.is_json() {
        return Ok(printer.json(&json_report(args, outcome))?);
    }
    let Outcome {
        images,
        written,
        pushed,
        loaded,
        document,
    } = outcome;
    for image in &images {
        let mark = match images.as_slice() {
            [_] => String::new(),
            _ => format!(" for {}", image.platform),
        };
        if args.explain {
            printer.result(&explain_layers(image))?;
        }
        if let Some(base) = &image.base {
            tell_base(base, &mark, context);
        }
        for kept in image.stable_paths.iter().flat_map(|stable| &stable.kept) {
            printer.note(&format!(
                "`{}` keeps its digest: {}",
                kept.path, kept.reason
            ));
        }
        let size = image
            .image_size_bytes
            .map_or_else(String::new, |size| format!(", {}", human_bytes(size)));
        printer.note(&format!(
            "{}{mark}: {} of {} in {}{size}",
            image.name,
            plural(
                image.layers.iter().map(|layer| layer.paths.len()).sum(),
                "store path"
            ),
            human_bytes(image.closure_size_bytes),
            plural(image.layers.len(), "layer"),
        ));
    }
    let say = |result: &str| match document {
        None if !args.is_streamed() => printer.result(result),
        _ => {
            printer.note(result);
            Ok(())
        }
    };
    if let Some(written) = &written {
        say(&written.path.display().to_string())?;
    }
    for (name, pushed) in args.pushes.iter().zip(&pushed) {
        note_pushed(printer, pushed);
        say(&digest_reference(name, pushed.manifest_digest))?;
    }
    for loaded in &loaded {
        printer.note(&format!("{} has it", loaded.engine));
        say(&loaded.name)?;
    }
    if let Some(document) = &document {
        printer.result(document)?;
    }
    Ok(())
}

/// Says what is below an image, and what of it is hidden.
fn tell_base(base: &BaseReport, mark: &str, context: &Context) {
    let printer = context.printer();
    let name = base.name.as_deref().unwrap_or("the base");
    printer.note(&format!(
        "on {name}{mark}, {}: {}, {}",
        base.digest,
        plural(base.layers, "layer"),
        human_bytes(base.size_bytes)
    ));
    if !base.shared.is_empty() {
        let paths = plural(base.shared.len(), "store path");
        printer.note(&format!("the base has {paths} of it already"));
    }
    for path in &base.replaced {
        printer.note(&format!("`{path}` of the base is replaced"));
    }
}

/// What `--json` prints.
fn json_report(args: &PackArgs, outcome: Outcome) -> Report {
    let Outcome {
        mut images,
        written,
        pushed,
        loaded,
        document,
    } = outcome;
    let image = if images.len() == 1 {
        images.pop()
    } else {
        None
    };
    let digest = written.as_ref().and_then(|w| w.manifest_digest);
    let digest = digest
        .or_else(|| Some(pushed.first()?.manifest_digest))
        .or_else(|| Some(loaded.first()?.manifest));
    let all_there = written.as_ref().is_none_or(|w| w.unchanged)
        && pushed.iter().all(|pushed| pushed.unchanged)
        && loaded.is_empty();
    let sent = pushed.iter().map(|pushed| pushed.encoded_bytes);
    Report {
        format: written.as_ref().map(|_| args.format.to_string()),
        output: written.as_ref().map(|w| w.path.display().to_string()),
        manifest: digest.map(|digest| digest.to_string()),
        bytes_read: written.as_ref().map_or(0, |w| w.encoded_bytes) + sent.sum::<u64>(),
        unchanged: all_there,
        pushed,
        loaded,
        document,
        image,
        images,
    }
}
