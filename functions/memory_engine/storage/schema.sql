-- The tables of one engine file that are made once: the owner's data. `word_index.sql` and `vectors.sql` add what is
-- derived from the memories, and is made again with every new version of it.

CREATE TABLE memories (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  memory TEXT NOT NULL,
  hash BLOB NOT NULL,
  user_id TEXT, agent_id TEXT, app_id TEXT, run_id TEXT,
  metadata TEXT,
  categories TEXT NOT NULL DEFAULT '[]',
  immutable INTEGER NOT NULL DEFAULT 0,
  expiration_date TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  event_id TEXT,
  replaced_by TEXT,
  synthesized INTEGER NOT NULL DEFAULT 0,
  feedback TEXT, feedback_reason TEXT
);
CREATE INDEX memories_user ON memories (user_id, created_at) WHERE user_id IS NOT NULL;
CREATE INDEX memories_agent ON memories (agent_id, created_at) WHERE agent_id IS NOT NULL;
CREATE INDEX memories_app ON memories (app_id, created_at) WHERE app_id IS NOT NULL;
CREATE INDEX memories_run ON memories (run_id, created_at) WHERE run_id IS NOT NULL;
CREATE INDEX memories_created ON memories (created_at);
CREATE INDEX memories_hash ON memories (hash);
CREATE INDEX memories_replaced ON memories (replaced_by) WHERE replaced_by IS NOT NULL;

CREATE TABLE history (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  memory_id TEXT NOT NULL,
  event TEXT NOT NULL,
  old_memory TEXT, new_memory TEXT NOT NULL,
  user_id TEXT, agent_id TEXT, app_id TEXT, run_id TEXT,
  categories TEXT NOT NULL, metadata TEXT,
  event_id TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE INDEX history_memory ON history (memory_id);

CREATE TABLE entities (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL, entity_id TEXT NOT NULL, name TEXT NOT NULL, metadata TEXT,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
  UNIQUE (type, entity_id)
);

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  event_type TEXT NOT NULL,
  status TEXT NOT NULL,
  payload TEXT NOT NULL, metadata TEXT, results TEXT NOT NULL DEFAULT '[]', error TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, started_at INTEGER, completed_at INTEGER
);
CREATE INDEX events_unfinished ON events (seq) WHERE status IN ('PENDING', 'RUNNING');
CREATE INDEX events_type ON events (event_type, seq);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE exports (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  schema TEXT NOT NULL, filters TEXT NOT NULL, instructions TEXT,
  status TEXT NOT NULL, result TEXT, error TEXT, created_at INTEGER NOT NULL
);

CREATE TABLE organizations (
  seq INTEGER PRIMARY KEY,
  org_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE projects (
  seq INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL UNIQUE, org_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT,
  options TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE members (
  seq INTEGER PRIMARY KEY,
  of TEXT NOT NULL, email TEXT NOT NULL, role TEXT NOT NULL, UNIQUE (of, email)
);

CREATE TABLE webhooks (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL UNIQUE, project_id TEXT NOT NULL, name TEXT NOT NULL, url TEXT NOT NULL,
  event_types TEXT NOT NULL, is_active INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL
);
CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY,
  webhook_id TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL
);

CREATE TABLE profile_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE profiles (
  entity_id TEXT PRIMARY KEY, profile TEXT NOT NULL, status TEXT NOT NULL,
  updated_at INTEGER NOT NULL, generation_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE profile_jobs (
  job_id TEXT PRIMARY KEY, idempotency_key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, answer TEXT NOT NULL,
  job TEXT NOT NULL, created_at INTEGER NOT NULL
) WITHOUT ROWID;
