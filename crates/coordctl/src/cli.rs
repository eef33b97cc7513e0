//! Every command and option.

mod lease;
mod namespace;

use std::{ffi::OsString, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

pub(crate) use self::{
    lease::{DiscoveryOptions, LeaseOptions, UnverifiedOptions},
    namespace::{ImportOptions, InitOptions, RepairOptions, SetLayoutOptions},
};
use crate::values::{self, Encoding, Fields, OnLost};

/// Leases machine IDs for any program, shows who holds what, and examines the server.
#[derive(Debug, Parser)]
#[command(
    name = "coordctl",
    version,
    after_long_help = EXIT_CODES,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the exit code says.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done; doctor: nothing to change
  1    failed or refused, as the message says; doctor: there is advice
  2    bad input: nothing was changed
  3    the server cannot be reached, or does not let us in
  4    not to be had: the range is full, there is no such group, instance, holder or status file
  5    id exec: the lease was lost, and the program was told or ended; id status: it is over
  126  id exec: the program cannot be run
  127  id exec: there is no such program
  Otherwise id exec passes on the program's own code, or 128 + n where signal n ended it.

Environment:
  REDIS_URL    the server, where --url is not given
  INSTANCE_ID  buckets drain: the instance, where none is given
  NO_COLOR     no colours, not even on a terminal";

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The server.
    #[arg(
        long,
        help = "The server: redis://[user:pass@]host[:port][/db][?ns=namespace], or another form that raus takes",
        global = true,
        env = "REDIS_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) url: Option<String>,
    /// Print JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Machine IDs: lease one for a program, list or revoke them, mend their namespace.
    #[command(subcommand)]
    Id(IdCommand),
    /// Buckets: who owns them, and who is to give them away.
    #[command(subcommand)]
    Buckets(BucketsCommand),
    /// Lease a machine ID and mint IDs under it.
    Mint(MintOptions),
    /// Take IDs apart.
    Decode(DecodeOptions),
    /// Examine a server and say what to change.
    Doctor(DoctorOptions),
    /// Observe a namespace or a group and write one HTML page about it.
    Report(ReportOptions),
    /// Observe a namespace and groups, and serve what is seen to Prometheus.
    ///
    /// GET /metrics answers with the last look at the server, GET /healthz as long as the exporter runs. Where the server does
    /// not answer, coord_up is 0 and the exporter goes on looking.
    #[cfg(feature = "exporter")]
    Exporter(ExporterOptions),
    /// Print completions for a shell.
    Completions(CompletionsOptions),
    /// Print the manual page, or write all of them.
    Man(ManOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum IdCommand {
    /// Lease a machine ID and run a program with it in its environment.
    ///
    /// The program gets its machine ID as MACHINE_ID, the fencing token as MACHINE_ID_FENCE and the namespace as
    /// MACHINE_ID_NAMESPACE. Signals are passed on to it. When it ends, what it leaves behind in its process group is ended too,
    /// and the machine ID is given back. Where the lease cannot be renewed, the program is told to end (SIGTERM) one grace
    /// before the local deadline and killed just before it, with all processes of its group: it is gone before the server gives
    /// the machine ID to another. Where the server says that the lease is another's, that begins at once. It is killed, too,
    /// when coordctl is.
    Exec(ExecOptions),
    /// List the machine IDs of a namespace.
    List(ListOptions),
    /// Watch the machine IDs of a namespace.
    Watch(WatchIdsOptions),
    /// Say whether a program under `id exec --status-file` has its machine ID, for probes.
    ///
    /// Asks no server: it reads the file and the clock. Exits with 0 while the lease lasts, with 4 where there is no such file,
    /// and with 5 where the lease is over.
    Status(StatusOptions),
    /// Take a machine ID away from its holder.
    ///
    /// The holder hears of it with its next renewal and stops. Nobody is granted the machine ID before the holder's lease is
    /// over.
    Revoke(RevokeOptions),
    /// Declare that a namespace is new, before its first use.
    ///
    /// Listens for living holders first. Afterwards the first machine ID is granted at once, and `id exec --expect-history`
    /// works: a record that is absent then always means that the server has lost it.
    Init(InitOptions),
    /// Show timestamps on record that lie too far ahead, or reset them
    ///
    /// They are a clock's that was ahead. Without --yes nothing is changed. What is further ahead than the longest ttl and clock skew is reset to that. IDs with
    /// timestamps between the two may have been minted already, and may be minted a second time when the clock gets there.
    /// Machine IDs that somebody holds are left alone: stop the holder or revoke them, and repair again.
    Repair(RepairOptions),
    /// Show the layout of the IDs that a namespace mints, or change it with --set.
    ///
    /// It is changed only while nobody holds a machine ID. IDs that were minted under the old layout may be minted a second time
    /// under the new one.
    Layout(SetLayoutOptions),
    /// Write all that is on record of a namespace, for `id import`
    ///
    /// It goes to the standard output, as JSON. To move a namespace to another server: stop its holders, export here, import there, and start them with the new URL.
    Export,
    /// Put on record what `id export` wrote, in an empty namespace
    ///
    /// Every lease counts as over, and a quarantine begins: nothing new is granted for the longest ttl and failover bound. No
    /// process may use the old server any more when it is over. An import that was interrupted can be repeated.
    Import(ImportOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BucketsCommand {
    /// Show a group: its members, and who owns what.
    List(GroupOptions),
    /// List the members of a group.
    Members(GroupOptions),
    /// Watch a group.
    Watch(WatchGroupOptions),
    /// Ask an instance to give all its buckets to the others.
    ///
    /// It stays a member and gets no new buckets, until this is taken back or it leaves. Each bucket goes when work in it has
    /// ended.
    Drain(DrainOptions),
    /// Give up an instance that has gone: its buckets are not kept for its return any more.
    ///
    /// Only one whose lease is over, or that left for the time of its rejoin_grace; one that lives is left alone.
    Evict(EvictOptions),
}

/// Which machine IDs.
#[derive(Debug, Clone, Args)]
pub(crate) struct RangeOptions {
    /// Which machine IDs, lowest-highest.
    #[arg(long, default_value = "0-1023", value_parser = values::range)]
    pub(crate) range: RangeInclusive<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ExecOptions {
    #[command(flatten)]
    pub(crate) range: RangeOptions,
    #[command(flatten)]
    pub(crate) lease: LeaseOptions,
    /// The variable for the machine ID; the other two begin with its name.
    #[arg(long, default_value = "MACHINE_ID", value_parser = values::variable, value_name = "NAME")]
    pub(crate) env: String,
    /// What happens to the program when the lease is about to be lost: term (then kill), kill, signal:N (and nothing
    /// else), ignore.
    #[arg(long, default_value = "term", value_parser = values::on_lost, value_name = "ACTION")]
    pub(crate) on_lost: OnLost,
    /// How long a program that was told to end may take: up to a seventh of the ttl. Defaults to 10 s, or that seventh.
    #[arg(long, value_parser = values::duration, value_name = "TIME")]
    pub(crate) grace: Option<Duration>,
    /// Write into this file which machine ID is held until when; it is there only while one is. Best in memory.
    #[arg(long, value_name = "FILE")]
    pub(crate) status_file: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// The file that `id exec --status-file` names.
    pub(crate) file: PathBuf,
}

/// What the new process of `id exec` needs to know before it becomes the program. Not a command of users, so it is not among
/// theirs.
#[derive(Debug, Parser)]
#[command(name = "coordctl")]
pub(crate) struct ChildOptions {
    #[arg(long)]
    pub(crate) parent: i32,
    /// The signal that it gets when the parent ends; 0 for none.
    #[arg(long)]
    pub(crate) on_parent_death: i32,
    #[arg(long)]
    pub(crate) in_foreground: bool,
    #[arg(last = true, required = true)]
    pub(crate) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    pub(crate) range: RangeOptions,
    /// Free machine IDs with a record too.
    #[arg(long)]
    pub(crate) all: bool,
}

/// How a watch goes on.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchOptions {
    /// How often to look.
    #[arg(long, default_value = "1s", value_parser = values::pace, value_name = "TIME")]
    pub(crate) interval: Duration,
    /// For how long; without it, until q or a signal.
    #[arg(long = "for", value_parser = values::duration, value_name = "TIME")]
    pub(crate) lasting: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchIdsOptions {
    #[command(flatten)]
    pub(crate) list: ListOptions,
    #[command(flatten)]
    pub(crate) watch: WatchOptions,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeOptions {
    /// The machine ID.
    pub(crate) id: u32,
    /// Only where its fencing token is this one, as listed.
    #[arg(long)]
    pub(crate) fence: Option<u64>,
    /// Free it at once, although its holder may still be at work.
    #[arg(long)]
    pub(crate) now: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Which group.
#[derive(Debug, Clone, Args)]
pub(crate) struct GroupOptions {
    /// The group.
    #[arg(long, short)]
    pub(crate) group: String,
    /// What all its keys begin with.
    #[arg(long, default_value = redbuckets::Redbuckets::DEFAULT_PREFIX)]
    pub(crate) prefix: String,
}

#[derive(Debug, Args)]
pub(crate) struct WatchGroupOptions {
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    #[command(flatten)]
    pub(crate) watch: WatchOptions,
}

#[derive(Debug, Args)]
pub(crate) struct EvictOptions {
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    /// The instance's id.
    pub(crate) instance: String,
}

#[derive(Debug, Args)]
pub(crate) struct DrainOptions {
    #[command(flatten)]
    pub(crate) group: GroupOptions,
    /// The instance's id. A hook of an orchestrator has no shell to fill it in.
    #[arg(env = "INSTANCE_ID")]
    pub(crate) instance: String,
    /// Take it back: the instance gets its share again.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Wait until it owns nothing, for this long at most.
    #[arg(long, value_parser = values::duration, value_name = "TIME", conflicts_with = "undo")]
    pub(crate) wait: Option<Duration>,
}

/// How IDs are divided.
#[derive(Debug, Clone, Args)]
pub(crate) struct LayoutOptions {
    /// twitter, discord, instagram, sonyflake, javascript, or the bits of timestamp, machine ID and sequence: 41/10/12, or
    /// 39/s8/m16 where the sequence comes before the machine ID.
    #[arg(long, default_value = "twitter", value_parser = values::fields)]
    pub(crate) layout: Fields,
    /// When timestamps begin: 2025-01-01T00:00:00Z, or milliseconds since 1970.
    #[arg(long, value_parser = values::epoch, value_name = "TIME")]
    pub(crate) epoch: Option<u64>,
    /// What timestamps count.
    #[arg(long, value_parser = values::duration, value_name = "TIME")]
    pub(crate) unit: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct MintOptions {
    /// How many.
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Encoding::Decimal)]
    pub(crate) format: Encoding,
    /// Which machine IDs, lowest-highest. Defaults to all of the layout, up to 1,024.
    #[arg(long, value_parser = values::range)]
    pub(crate) range: Option<RangeInclusive<u32>>,
    #[command(flatten)]
    pub(crate) layout: LayoutOptions,
    #[command(flatten)]
    pub(crate) lease: LeaseOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeOptions {
    /// The IDs.
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
    /// How they are written. Without it that is told by their length; a number is decimal.
    #[arg(long, value_enum)]
    pub(crate) format: Option<Encoding>,
    #[command(flatten)]
    pub(crate) layout: LayoutOptions,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// How many round trips to measure.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) pings: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// The group; without it, the machine IDs of the namespace.
    #[arg(long, short)]
    pub(crate) group: Option<String>,
    /// What all keys of the group begin with.
    #[arg(long, default_value = redbuckets::Redbuckets::DEFAULT_PREFIX, requires = "group")]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) range: RangeOptions,
    /// For how long to observe; Ctrl-C ends it earlier, and the page is written all the same.
    #[arg(long = "for", default_value = "30s", value_parser = values::duration, value_name = "TIME")]
    pub(crate) lasting: Duration,
    /// How often to look.
    #[arg(long, default_value = "500ms", value_parser = values::pace, value_name = "TIME")]
    pub(crate) interval: Duration,
    /// Where to write it. Defaults to the standard output.
    #[arg(long, short)]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(feature = "exporter")]
#[derive(Debug, Args)]
pub(crate) struct ExporterOptions {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9187", value_parser = values::listen, value_name = "ADDRESS")]
    pub(crate) listen: std::net::SocketAddr,
    /// A group to observe; may be given again.
    #[arg(long, short, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// What all keys of the groups begin with.
    #[arg(long, default_value = redbuckets::Redbuckets::DEFAULT_PREFIX)]
    pub(crate) prefix: String,
    /// Which machine IDs to observe, lowest-highest. Defaults to 0-1023 without a group, to none with one.
    #[arg(long, value_parser = values::range)]
    pub(crate) range: Option<RangeInclusive<u32>>,
    /// How often to look.
    #[arg(long, default_value = "5s", value_parser = values::pace, value_name = "TIME")]
    pub(crate) interval: Duration,
    /// What each member of the groups owns, too: a series for each instance id, so only where ids are stable.
    #[arg(long)]
    pub(crate) per_member: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Write a page for each command into this directory.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

/// The first argument that makes a process of coordctl such a one.
pub(crate) const CHILD: &str = "__exec";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_fit_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_url_in_the_environment_is_not_shown() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("[env: REDIS_URL]"), "{help}");
    }
}
