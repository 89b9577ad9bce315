//! Redis Streams. The id of an entry is its number, so that Redis itself knows what is there already.

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script};
use uuid::Uuid;

use super::{Message, PATIENCE};

/// Adds what is newer than the last entry; how much. Arguments: how many to keep, then number, kind and body of each.
const ADD: &str = r"
local last = 0
local known = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not known.err then
  for i = 1, #known, 2 do
    if known[i] == 'last-generated-id' then last = tonumber(string.match(known[i + 1], '^%d+')) end
  end
end
local added = 0
for i = 2, #ARGV, 3 do
  if tonumber(ARGV[i]) > last then
    if ARGV[1] == '0' then
      redis.call('XADD', KEYS[1], ARGV[i] .. '-0', 'type', ARGV[i + 1], 'event', ARGV[i + 2])
    else
      redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], ARGV[i] .. '-0', 'type', ARGV[i + 1], 'event', ARGV[i + 2])
    end
    added = added + 1
  end
end
return added";

pub struct Redis {
    connection: ConnectionManager,
    prefix: String,
    keep: u64,
    add: Script,
}

impl Redis {
    pub(super) async fn connect(url: &str, prefix: &str, keep: u64) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = Client::open(url)?.get_connection_manager_with_config(config).await?;
        Ok(Self { connection, prefix: prefix.to_owned(), keep, add: Script::new(ADD) })
    }

    pub(super) async fn publish(&self, group: Uuid, messages: &[Message]) -> Result<(), RedisError> {
        let mut adding = self.add.prepare_invoke();
        adding.key(format!("{}:events:{group}", self.prefix)).arg(self.keep);
        for message in messages {
            adding.arg(message.number).arg(&message.about).arg(&message.body);
        }
        adding.invoke_async::<i64>(&mut self.connection.clone()).await.map(drop)
    }
}
