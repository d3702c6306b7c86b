//! The subcommands of `pith store`.

use clap::{Args, Subcommand};

use super::{
    du::{DuArgs, du},
    export::{ExportArgs, ImportArgs, run_export, run_import},
    gc::{GcArgs, gc},
    info::info,
    path_info::{PathInfoArgs, path_info},
    rebuild_db::rebuild_db,
    repair::{RepairArgs, repair},
    roots::{RootsArgs, roots},
    verify::{VerifyArgs, verify},
};
use crate::context::Context;
use crate::error::CommandError;

/// Look into the store and put it in order
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Show where the store is and how much it holds
    Info,
    PathInfo(PathInfoArgs),
    Du(DuArgs),
    Gc(GcArgs),
    Roots(RootsArgs),
    Verify(VerifyArgs),
    Repair(RepairArgs),
    Export(ExportArgs),
    Import(ImportArgs),
    /// Make the database again from the records under var/meta; reads and hashes all objects
    RebuildDb,
}

/// Runs the subcommand. The result is the exit status of one that went as it should.
pub(crate) fn store(args: &StoreArgs, context: &Context) -> Result<u8, CommandError> {
    match &args.command {
        StoreCommand::Info => info(context),
        StoreCommand::PathInfo(args) => path_info(args, context),
        StoreCommand::Du(args) => du(args, context),
        StoreCommand::Gc(args) => gc(args, context),
        StoreCommand::Roots(args) => roots(args, context),
        StoreCommand::Export(args) => run_export(args, context),
        StoreCommand::Import(args) => run_import(args, context),
        StoreCommand::Verify(args) => return verify(args, context),
        StoreCommand::Repair(args) => return repair(args, context),
        StoreCommand::RebuildDb => return rebuild_db(context),
    }?;
    Ok(0)
}
