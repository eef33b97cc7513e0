//! The Lua state: one sandbox, every script compiled once, values turned from Redis' shape into Lua's and back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use mlua::{
    Function, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value, VmState,
};

use super::{
    super::{Reply, Script},
    bit,
    commands::execute,
    db::Db,
    resp::{CommandError, Resp, format_double},
    structs,
};

/// Runs scripts on a keyspace. Clones are the same interpreter.
#[derive(Clone)]
pub(super) struct Interpreter {
    lua: Lua,
    environment: Table,
    run: Function,
    compiled: HashMap<String, Function>,
    hooks: Arc<AtomicU64>,
    random: Arc<AtomicU64>,
    names: FieldNames,
}

#[derive(Clone)]
struct FieldNames {
    err: LuaString,
    ok: LuaString,
}

impl Interpreter {
    pub(super) fn new(db: &Arc<Mutex<Db>>) -> mlua::Result<Self> {
        let lua = Lua::new_with(
            StdLib::STRING | StdLib::TABLE | StdLib::MATH,
            LuaOptions::new().catch_rust_panics(false),
        )?;
        let names = FieldNames {
            err: lua.create_string("err")?,
            ok: lua.create_string("ok")?,
        };
        let random = Arc::new(AtomicU64::new(RANDOM_START));
        let (environment, run) = lua
            .load(include_str!("sandbox.lua"))
            .set_name("=sandbox")
            .call((
                command_function(&lua, db.clone(), names.clone())?,
                bit::library(&lua)?,
                structs::library(&lua)?,
                lua.create_function(|_, text: LuaString| {
                    Ok(sha1_smol::Sha1::from(&text.as_bytes()[..])
                        .digest()
                        .to_string())
                })?,
                random_function(&lua, random.clone())?,
                randomseed_function(&lua, random.clone())?,
            ))?;
        let hooks = Arc::new(AtomicU64::new(0));
        bound_running_time(&lua, hooks.clone())?;
        Ok(Self {
            lua,
            environment,
            run,
            compiled: HashMap::new(),
            hooks,
            random,
            names,
        })
    }

    /// The same, with random numbers from the start.
    pub(super) fn renewed(&self) -> Self {
        self.random.store(RANDOM_START, Ordering::Relaxed);
        self.clone()
    }

    /// Runs a script; the error is the text of an error reply.
    pub(super) fn eval(
        &mut self,
        script: &Script,
        keys: &[String],
        args: &[String],
    ) -> Result<Reply, CommandError> {
        let function = self.compile(script)?;
        self.hooks.store(0, Ordering::Relaxed);
        let called = self
            .strings(keys)
            .and_then(|keys| Ok((keys, self.strings(args)?)))
            .and_then(|(keys, args)| self.run.call::<(bool, Value)>((function, keys, args)));
        let outcome = match called {
            Ok((true, value)) => self.reply(&value, 0),
            Ok((false, error)) => Err(self.error(&error)),
            Err(error) => Err(CommandError::owned(format!("ERR {error}"))),
        };
        outcome.map_err(|error| {
            CommandError::owned(format!("{} script: {}", error.text(), script.name()))
        })
    }

    fn compile(&mut self, script: &Script) -> Result<Function, CommandError> {
        if let Some(function) = self.compiled.get(script.sha()) {
            return Ok(function.clone());
        }
        let function = self
            .lua
            .load(script.source())
            .set_name("@user_script")
            .set_mode(mlua::chunk::ChunkMode::Text)
            .set_environment(self.environment.clone())
            .into_function()
            .map_err(|error| {
                CommandError::owned(format!(
                    "ERR Error compiling script (new function): {error}"
                ))
            })?;
        self.compiled
            .insert(script.sha().to_owned(), function.clone());
        Ok(function)
    }

    fn strings(&self, strings: &[String]) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(strings.len(), 0)?;
        for string in strings {
            table.raw_push(self.lua.create_string(string)?)?;
        }
        Ok(table)
    }

    /// What a script returned, in the shape of a reply.
    fn reply(&self, value: &Value, depth: usize) -> Result<Reply, CommandError> {
        Ok(match value {
            Value::String(bytes) => Reply::Bytes(bytes.as_bytes().to_vec()),
            Value::Integer(number) => Reply::Int(*number),
            Value::Number(number) => Reply::Int(truncate(*number)),
            Value::Boolean(true) => Reply::Int(1),
            Value::Table(table) => return self.table_reply(table, depth),
            _ => Reply::Nil,
        })
    }

    fn table_reply(&self, table: &Table, depth: usize) -> Result<Reply, CommandError> {
        if MAX_DEPTH < depth {
            return Err(CommandError::new("ERR reached lua stack limit"));
        }
        if let Some(error) = string_field(table, &self.names.err) {
            return Err(CommandError::owned(error.to_string_lossy()));
        }
        if let Some(status) = string_field(table, &self.names.ok) {
            return Ok(Reply::Bytes(status.as_bytes().to_vec()));
        }
        let mut items = Vec::with_capacity(table.raw_len());
        for index in 1.. {
            let item: Value = table
                .raw_get(index)
                .map_err(|error| CommandError::owned(format!("ERR {error}")))?;
            if item.is_nil() {
                break;
            }
            items.push(self.reply(&item, depth + 1)?);
        }
        Ok(Reply::Array(items))
    }

    /// The text of what a script raised.
    fn error(&self, raised: &Value) -> CommandError {
        if let Value::Table(table) = raised
            && let Some(text) = string_field(table, &self.names.err)
        {
            return CommandError::owned(text.to_string_lossy());
        }
        let text = match raised {
            Value::String(text) => text.to_string_lossy(),
            Value::Error(error) => first_line(&error.to_string()),
            other => format!("(error object is a {} value)", other.type_name()),
        };
        CommandError::owned(format!("ERR {text}"))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn string_field(table: &Table, name: &LuaString) -> Option<LuaString> {
    match table.raw_get(name) {
        Ok(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// C's conversion, which answers the lowest integer for what does not fit.
#[expect(
    clippy::cast_possible_truncation,
    reason = "scripts' numbers lose their fraction on the wire"
)]
fn truncate(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

/// The function under `redis.call` and `redis.pcall`: the reply, and whether it is an error.
fn command_function(lua: &Lua, db: Arc<Mutex<Db>>, names: FieldNames) -> mlua::Result<Function> {
    lua.create_function(move |lua, args: MultiValue| {
        let answer = with_arguments(&args, |args| {
            let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
            execute(&mut db, args)
        });
        match answer {
            Ok(resp) => Ok((to_lua(lua, &names, resp)?, false)),
            Err(error) => {
                let table = lua.create_table_with_capacity(0, 1)?;
                table.raw_set(&names.err, error.text())?;
                Ok((Value::Table(table), true))
            }
        }
    })
}

fn with_arguments<T>(
    args: &MultiValue,
    then: impl FnOnce(&[&[u8]]) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    enum Held {
        Lua(mlua::BorrowedBytes),
        Formatted(String),
    }
    if args.is_empty() {
        return Err(CommandError::new(
            "ERR Please specify at least one argument for this redis lib call",
        ));
    }
    let held: Vec<Held> = args
        .iter()
        .map(|arg| match arg {
            Value::String(text) => Ok(Held::Lua(text.as_bytes())),
            // Seventeen digits are what Redis prints; larger integers take its exponent form.
            Value::Integer(number) if number.unsigned_abs() < MAX_PLAIN => {
                Ok(Held::Formatted(number.to_string()))
            }
            #[expect(
                clippy::cast_precision_loss,
                reason = "it was a double before mlua read it"
            )]
            Value::Integer(number) => Ok(Held::Formatted(format_double(*number as f64))),
            Value::Number(number) => Ok(Held::Formatted(format_double(*number))),
            _ => Err(CommandError::new(
                "ERR Lua redis lib command arguments must be strings or integers",
            )),
        })
        .collect::<Result<_, _>>()?;
    let slices: Vec<&[u8]> = held
        .iter()
        .map(|held| match held {
            Held::Lua(bytes) => &bytes[..],
            Held::Formatted(text) => text.as_bytes(),
        })
        .collect();
    then(&slices)
}

const MAX_PLAIN: u64 = 100_000_000_000_000_000;

fn to_lua(lua: &Lua, names: &FieldNames, resp: Resp) -> mlua::Result<Value> {
    Ok(match resp {
        Resp::Nil => Value::Boolean(false),
        #[expect(clippy::cast_precision_loss, reason = "a Lua number holds 53 bits")]
        Resp::Int(number) => Value::Number(number as f64),
        Resp::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Resp::Status(text) => {
            let table = lua.create_table_with_capacity(0, 1)?;
            table.raw_set(&names.ok, text)?;
            Value::Table(table)
        }
        Resp::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for (index, item) in items.into_iter().enumerate() {
                table.raw_set(index + 1, to_lua(lua, names, item)?)?;
            }
            Value::Table(table)
        }
    })
}

/// Redis gives every server the same sequence of random numbers, `lrand48` from its default seed.
fn random_function(lua: &Lua, state: Arc<AtomicU64>) -> mlua::Result<Function> {
    lua.create_function(move |_, (low, high): (Option<f64>, Option<f64>)| {
        let next = (state
            .load(Ordering::Relaxed)
            .wrapping_mul(0x5_DEEC_E66D)
            .wrapping_add(0xB))
            & 0xFFFF_FFFF_FFFF;
        state.store(next, Ordering::Relaxed);
        let draw = u32::try_from(next >> 17).expect("31 of 48 bits are left");
        let fraction = f64::from(draw % RANDOM_MAX) / f64::from(RANDOM_MAX);
        let (low, high) = match (low, high) {
            (None, _) => return Ok(fraction),
            (Some(high), None) => (1.0, high.trunc()),
            (Some(low), Some(high)) => (low.trunc(), high.trunc()),
        };
        if high < low {
            return Err(mlua::Error::runtime(
                "bad argument to 'random' (interval is empty)",
            ));
        }
        Ok((fraction * (high - low + 1.0)).floor() + low)
    })
}

fn randomseed_function(lua: &Lua, state: Arc<AtomicU64>) -> mlua::Result<Function> {
    lua.create_function(move |_, seed: f64| {
        let seed = u64::from_ne_bytes(truncate(seed).to_ne_bytes()) & 0xFFFF_FFFF;
        state.store((seed << 16) | SEED_TAIL, Ordering::Relaxed);
        Ok(())
    })
}

const RANDOM_START: u64 = 0x1234_ABCD_330E;
const SEED_TAIL: u64 = 0x330E;
const RANDOM_MAX: u32 = 0x7FFF_FFFF;

/// Ends a script that does not end by itself.
fn bound_running_time(lua: &Lua, hooks: Arc<AtomicU64>) -> mlua::Result<()> {
    let triggers = HookTriggers::new().every_nth_instruction(INSTRUCTIONS_PER_HOOK);
    lua.set_hook(triggers, move |_, _| {
        if hooks.fetch_add(1, Ordering::Relaxed) < MAX_HOOKS {
            return Ok(VmState::Continue);
        }
        Err(mlua::Error::runtime(format!(
            "script still running after {} instructions; do less in one call",
            u64::from(INSTRUCTIONS_PER_HOOK) * MAX_HOOKS
        )))
    })
}

const INSTRUCTIONS_PER_HOOK: u32 = 1_000_000;
const MAX_HOOKS: u64 = 1_000;
const MAX_DEPTH: usize = 100;
