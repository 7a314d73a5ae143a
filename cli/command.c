#include "cli/command.h"

#include <string.h>

#include "cli/run.h"

#define V1 "/api/v1"

const struct cli_argument cli_arguments[] = {
	{ "LUN", V1 "/luns", "name of a LUN" },
	{ "TARGET", V1 "/targets", "iSCSI name of a target (iqn., eui. or naa.)" },
	{ "NUMBER", NULL, "LUN number by which initiators see it, 0 to 16383" },
	{ "INITIATOR", NULL, "iSCSI name of an initiator" },
	{ "GROUP", V1 "/initiator-groups", "name of an initiator group" },
	{ "PORTAL", V1 "/portals", "name of a portal" },
	{ "ADDRESS", NULL, "numeric address and port: 10.0.0.1:3260, [fd00::1]:3260" },
	{ "STORE", V1 "/stores", "name of a store" },
	{ "KIND", NULL, "driver of a store: file, memory, null or fault" },
	{ "SIZE", NULL, "bytes, or with a unit: 512M, 10G, 1.5T (powers of 1024)" },
	{ "TAG", NULL, "portal group tag: one for each target port group" },
	{ "STATE", NULL, "active_optimized, active_nonoptimized, standby, unavailable or transitioning" },
	{ "SESSION", V1 "/sessions", "id of a session, as `session list` shows it" },
	{ "TOKEN", V1 "/tokens", "name of a token" },
	{ "OPERATION", V1 "/operations", "id of an operation" },
	{ "FILE", NULL, "a file; - is standard input or output" },
	{ "METHOD", NULL, "GET, PUT, PATCH or DELETE" },
	{ "PATH", NULL, "path and query, /api/v1/luns or just luns" },
	{ "BODY", NULL, "JSON text, @FILE, or - for standard input" },
	{ "SHELL", NULL, "bash" },
	{ "ARGUMENT", NULL, "name of an argument: LUN, TARGET ..." },
};
const size_t cli_argument_count = sizeof cli_arguments / sizeof cli_arguments[0];

const struct cli_option cli_global_options[] = {
	{ "output", "FORMAT", CLI_TEXT, CLI_LOCAL, NULL, "table (default) or json" },
	{ "server", "URL", CLI_TEXT, CLI_LOCAL, NULL,
	  "the service; default $LUNETTE_SERVER, then http://127.0.0.1:3261" },
	{ "token-file", "FILE", CLI_TEXT, CLI_LOCAL, NULL,
	  "file with the bearer token; default $LUNETTE_TOKEN (the token itself), then admin.token in the state directory" },
	{ "state", "DIR", CLI_TEXT, CLI_LOCAL, NULL,
	  "state directory of a lunetted on this machine; default $LUNETTE_STATE, then ./lunette-state and /var/lib/lunette; "
	  "its token is sent to loopback only" },
	{ "ca-file", "FILE", CLI_TEXT, CLI_LOCAL, NULL,
	  "PEM certificates to trust for https; default $LUNETTE_CA_FILE, then the system's" },
	{ "help", NULL, CLI_FLAG, CLI_LOCAL, NULL, "help for the command" },
	{ "version", NULL, CLI_FLAG, CLI_LOCAL, NULL, "version of this command" },
};
const size_t cli_global_option_count = sizeof cli_global_options / sizeof cli_global_options[0];

const struct cli_option cli_options[] = {
	/* LUNs */
	{ "store", "NAME", CLI_TEXT, CLI_BODY, "store",
	  "store that holds the data: default (files), memory, null, or a configured one" },
	{ "block-size", "BYTES", CLI_NUMBER, CLI_BODY, "block_size", "logical block size: 512 (default) or 4096" },
	{ "physical-block-size", "BYTES", CLI_NUMBER, CLI_BODY, "physical_block_size",
	  "physical block size that initiators are told" },
	{ "object-size", "SIZE", CLI_SIZE, CLI_BODY, "target_object_size_bytes", "target size of one backend object" },
	{ "thin", NULL, CLI_BOOL, CLI_BODY, "thin",
	  "allocate space when it is written (default); --thin=off reserves it now" },
	{ "removable", NULL, CLI_BOOL, CLI_BODY, "removable", "show removable media" },
	{ "read-only", NULL, CLI_BOOL, CLI_BODY, "read_only", "refuse writes; --read-only=off allows them again" },
	{ "space-threshold", "PERCENT", CLI_NUMBER, CLI_BODY, "space_threshold_percent",
	  "tell initiators of a thin LUN when less of its store is free; 0: never" },
	{ "description", "TEXT", CLI_TEXT, CLI_BODY, "description", "words for people" },
	/* targets */
	{ "alias", "TEXT", CLI_TEXT, CLI_BODY, "alias", "TargetAlias that initiators are told" },
	{ "enabled", NULL, CLI_BOOL, CLI_BODY, "enabled", "--enabled=off refuses logins" },
	{ "open", NULL, CLI_BOOL, CLI_BODY, "open", "admit any initiator by any portal" },
	{ "portals", "NAME,...", CLI_LIST, CLI_BODY, "portals", "portals it is reachable by (default: default)" },
	{ "addresses", "CIDR,...", CLI_LIST, CLI_BODY, "addresses", "address ranges that may log in; empty: any" },
	{ "chap-user", "NAME", CLI_TEXT, CLI_BODY, "auth.chap.user", "CHAP name that the initiator must use" },
	{ "chap-secret-file", "FILE", CLI_SECRET, CLI_BODY, "auth.chap.secret",
	  "file with its CHAP secret, 12 to 255 characters; - is standard input" },
	{ "mutual-user", "NAME", CLI_TEXT, CLI_BODY, "auth.mutual.user", "CHAP name that we prove to the initiator" },
	{ "mutual-secret-file", "FILE", CLI_SECRET, CLI_BODY, "auth.mutual.secret",
	  "file with the secret for it; must differ from the other" },
	{ "no-chap", NULL, CLI_NULL, CLI_BODY, "auth", "no CHAP" },
	{ "redirect", "HOST:PORT", CLI_TEXT, CLI_BODY, "redirect.address",
	  "answer logins with: target moved to this address" },
	{ "no-redirect", NULL, CLI_NULL, CLI_BODY, "redirect", "answer logins ourselves again" },
	{ "queue-depth", "N", CLI_NUMBER, CLI_BODY, "params.queue_depth", "commands in the window of a session" },
	{ "explicit-alua", NULL, CLI_BOOL, CLI_BODY, "explicit_alua",
	  "initiators may set the access states of paths (SET TARGET PORT GROUPS)" },
	{ "preferred", NULL, CLI_BOOL, CLI_BODY, "preferred", "initiators are told to prefer this path" },
	{ "max-sessions", "N", CLI_NUMBER, CLI_BODY, "params.max_sessions",
	  "sessions at a time; 0: no limit of its own" },
	{ "header-digest", "MODE", CLI_TEXT, CLI_BODY, "params.header_digest", "none, crc32c (required) or any" },
	{ "data-digest", "MODE", CLI_TEXT, CLI_BODY, "params.data_digest", "none, crc32c (required) or any" },
	{ "param", "KEY=VALUE", CLI_PAIR, CLI_BODY, "params",
	  "any other member of params; may be repeated (see the API reference)" },
	{ "luns", "N,...", CLI_NUMBERS, CLI_BODY, "luns", "LUN numbers that may be seen; without it all" },
	/* groups, portals, stores, settings, tokens */
	{ "initiators", "NAME,...", CLI_LIST, CLI_BODY, "initiators", "iSCSI names of the members" },
	{ "address", "ADDRESS", CLI_TEXT, CLI_BODY, "address", "numeric address and port" },
	{ "tag", "N", CLI_NUMBER, CLI_BODY, "tag", "target portal group tag (default 1)" },
	{ "path", "DIR", CLI_TEXT, CLI_BODY, "params.path", "absolute directory of a file store" },
	{ "login-timeout", "SECONDS", CLI_NUMBER, CLI_BODY, "login_timeout_s", "from accept to full feature phase" },
	{ "max-connections", "N", CLI_NUMBER, CLI_BODY, "max_connections", "connections of one worker" },
	{ "max-connections-per-address", "N", CLI_NUMBER, CLI_BODY, "max_connections_per_address",
	  "connections from one address to one worker; 0: no limit" },
	{ "max-login-text", "SIZE", CLI_SIZE, CLI_BODY, "max_login_text_bytes", "text of one login or text exchange" },
	{ "buffers", "SIZE", CLI_SIZE, CLI_BODY, "buffer_bytes", "data buffers of one reactor" },
	{ "sanitize-rate", "SIZE", CLI_SIZE, CLI_BODY, "sanitize_bytes_per_s", "bytes a second that a sanitize writes at most" },
	{ "copy-rate", "SIZE", CLI_SIZE, CLI_BODY, "copy_bytes_per_s",
	  "bytes a second that the third-party copies of one reactor move at most" },
	{ "discovery-user", "NAME", CLI_TEXT, CLI_BODY, "discovery_auth.chap.user",
	  "CHAP name for discovery sessions" },
	{ "discovery-secret-file", "FILE", CLI_SECRET, CLI_BODY, "discovery_auth.chap.secret",
	  "file with the secret for it" },
	{ "no-discovery-chap", NULL, CLI_NULL, CLI_BODY, "discovery_auth", "discovery without CHAP" },
	{ "role", "ROLE", CLI_TEXT, CLI_BODY, "role", "viewer, operator or admin" },
	{ "expires-in", "DURATION", CLI_DURATION, CLI_BODY, "expires_in_s",
	  "90s, 30m, 12h or 365d; without it never" },
	{ "save", "FILE", CLI_TEXT, CLI_LOCAL, NULL, "write the token there (mode 0600) instead of printing it" },
	/* what is done with the request */
	{ "force", NULL, CLI_FLAG, CLI_QUERY, "force", "also what is in use: assignments go with it" },
	{ "dry-run", NULL, CLI_FLAG, CLI_QUERY, "dry_run",
	  "check everything and show the result, but change nothing" },
	{ "prune", NULL, CLI_FLAG, CLI_QUERY, "prune", "remove what the file does not name" },
	{ "no-wait", NULL, CLI_FLAG, CLI_LOCAL, NULL, "do not wait for a long operation" },
	{ "follow", NULL, CLI_FLAG, CLI_LOCAL, NULL, "go on with what happens from now on" },
	{ "once", NULL, CLI_FLAG, CLI_LOCAL, NULL, "one table instead of the screen; so it is without a terminal" },
	{ "kind", "KIND", CLI_TEXT, CLI_LOCAL, NULL, "lun (default), session, target or worker" },
	{ "sort", "KEY", CLI_TEXT, CLI_LOCAL, NULL, "iops (default), bytes, p99 or queue" },
};
const size_t cli_option_count = sizeof cli_options / sizeof cli_options[0];

#define LUN_OPTIONS    "block-size physical-block-size store object-size thin removable read-only space-threshold description " \
		       "dry-run no-wait"
#define ACCESS_OPTIONS "chap-user chap-secret-file mutual-user mutual-secret-file no-chap"
#define TARGET_OPTIONS "alias description enabled open portals addresses " ACCESS_OPTIONS " redirect no-redirect " \
		       "queue-depth max-sessions explicit-alua header-digest data-digest param dry-run"

#define LIST .method = "GET"
#define SHOW .method = "GET"
#define PUT .method = "PUT"
#define PATCH .method = "PATCH", .guarded = true
#define REMOVE .method = "DELETE", .guarded = true

const struct cli_command cli_commands[] = {
	{ "status", NULL, "", SHOW, .path = V1 "/health", .run = run_status,
	  .help = "One screen: what is served, and what is wrong." },
	{ "health", NULL, "", SHOW, .path = V1 "/health", .help = "What is wrong, and what to do about it." },

	{ "lun", "list", "", LIST, .path = V1 "/luns",
	  .columns = "NAME=name SIZE=size_bytes:size BLOCK=block_size STORE=store READ-ONLY=read_only "
		     "STATE=status.state SERIAL=serial DESCRIPTION=description",
	  .help = "List the LUNs." },
	{ "lun", "show", "LUN", SHOW, .path = V1 "/luns/{LUN}", .help = "Show one LUN." },
	{ "lun", "create", "LUN SIZE", PUT, .path = V1 "/luns/{LUN}", .body = "SIZE=size_bytes",
	  .options = LUN_OPTIONS,
	  .done = "LUN {LUN} is there", .help = "Create a LUN. The same again changes nothing.",
	  .example = "lunette lun create vol1 100G --block-size 4096" },
	{ "lun", "grow", "LUN SIZE", PATCH, .path = V1 "/luns/{LUN}", .body = "SIZE=size_bytes",
	  .options = "dry-run no-wait",
	  .done = "LUN {LUN} has grown", .help = "Make a LUN larger, while it is in use. A LUN never shrinks.",
	  .example = "lunette lun grow vol1 200G" },
	{ "lun", "set", "LUN", PATCH, .path = V1 "/luns/{LUN}", .options = "read-only space-threshold description dry-run",
	  .done = "LUN {LUN} changed", .help = "Change a LUN.", .example = "lunette lun set vol1 --read-only" },
	{ "lun", "delete", "LUN", REMOVE, .path = V1 "/luns/{LUN}", .options = "force dry-run no-wait",
	  .done = "LUN {LUN} deleted",
	  .help = "Delete a LUN and its data. Refused while it is assigned to a target." },
	{ "lun", "map", "LUN", SHOW, .path = V1 "/luns/{LUN}/map",
	  .help = "Show the objects that hold the data of a LUN." },
	{ "lun", "reservations", "LUN", SHOW, .path = V1 "/luns/{LUN}/reservations",
	  .help = "Show who has registered with a LUN, and who holds a reservation." },
	{ "lun", "clear-reservations", "LUN", .method = "DELETE", .path = V1 "/luns/{LUN}/reservations",
	  .done = "reservations of LUN {LUN} cleared",
	  .help = "Remove all reservations and registrations of a LUN: for a host that died and cannot do it." },

	{ "target", "list", "", LIST, .path = V1 "/targets",
	  .columns = "NAME=name ENABLED=enabled OPEN=open LUNS=luns:count INITIATORS=initiators:count "
		     "GROUPS=groups:count PORTALS=portals STATE=status.state WORKER=status.worker",
	  .help = "List the targets." },
	{ "target", "show", "TARGET", SHOW, .path = V1 "/targets/{TARGET}",
	  .help = "Show one target with all its parts." },
	{ "target", "create", "TARGET", PUT, .path = V1 "/targets/{TARGET}", .options = TARGET_OPTIONS,
	  .done = "target {TARGET} is there",
	  .help = "Create a target. Without access rules it admits any initiator on loopback portals and nobody elsewhere.",
	  .example = "lunette target create iqn.2026-11.io.lunette:t1 --portals default" },
	{ "target", "set", "TARGET", PATCH, .path = V1 "/targets/{TARGET}", .options = TARGET_OPTIONS,
	  .done = "target {TARGET} changed", .help = "Change a target.",
	  .example = "lunette target set iqn.2026-11.io.lunette:t1 --chap-user u --chap-secret-file secret.txt" },
	{ "target", "delete", "TARGET", REMOVE, .path = V1 "/targets/{TARGET}", .options = "force dry-run",
	  .done = "target {TARGET} deleted", .help = "Delete a target; its LUNs stay." },
	{ "target", "luns", "TARGET", LIST, .path = V1 "/targets/{TARGET}/luns", .columns = "NUMBER=name LUN=lun "
		     "READ-ONLY=read_only",
	  .help = "List the LUNs of a target." },
	{ "target", "map", "TARGET LUN [NUMBER]", PUT, .path = V1 "/targets/{TARGET}/luns/{NUMBER}", .body = "LUN=lun",
	  .options = "read-only dry-run", .run = run_target_map,
	  .done = "{TARGET} serves LUN {LUN} as number {NUMBER}",
	  .help = "Assign a LUN to a target, by the lowest free number if none is given (the one it has already, if any).",
	  .example = "lunette target map iqn.2026-11.io.lunette:t1 vol1" },
	{ "target", "path", "TARGET TAG STATE", PATCH, .path = V1 "/targets/{TARGET}", .body = "STATE=state",
	  .options = "preferred dry-run", .run = run_target_path, .done = "path {TAG} of {TARGET} is {STATE}",
	  .help = "Tell initiators the access state (ALUA) of the path by the portals with one portal group tag.",
	  .example = "lunette target path iqn.2026-11.io.lunette:t1 2 active_nonoptimized" },
	{ "target", "paths", "TARGET", LIST, .path = V1 "/targets/{TARGET}/port-groups",
	  .columns = "TAG=id STATE=state SET-BY=set_by CONFIGURED=configured_state PREFERRED=preferred PORT=relative_port_id",
	  .help = "List the paths of a target with the access states (ALUA) in force, whoever set them." },
	{ "target", "unmap", "TARGET NUMBER", REMOVE, .path = V1 "/targets/{TARGET}/luns/{NUMBER}",
	  .options = "force dry-run",
	  .done = "{TARGET} serves number {NUMBER} no more", .help = "Take a LUN away from a target; the LUN stays." },
	{ "target", "initiators", "TARGET", LIST, .path = V1 "/targets/{TARGET}/initiators",
	  .columns = "NAME=name LUNS=luns READ-ONLY=read_only CHAP=auth.chap.user DESCRIPTION=description",
	  .help = "List the initiators that may log in to a target." },
	{ "target", "allow", "TARGET INITIATOR", PUT, .path = V1 "/targets/{TARGET}/initiators/{INITIATOR}",
	  .options = "luns read-only description " ACCESS_OPTIONS " dry-run",
	  .done = "{INITIATOR} may log in to {TARGET}",
	  .guarded = true, .help = "Let an initiator log in to a target (replaces what was said of it before).",
	  .example = "lunette target allow iqn.2026-11.io.lunette:t1 iqn.1998-01.com.vmware:esx1 --luns 0,1" },
	{ "target", "deny", "TARGET INITIATOR", REMOVE, .path = V1 "/targets/{TARGET}/initiators/{INITIATOR}",
	  .options = "dry-run",
	  .done = "{INITIATOR} is not named by {TARGET} any more", .help = "Take that permission back." },
	{ "target", "groups", "TARGET", LIST, .path = V1 "/targets/{TARGET}/groups", .columns = "GROUP=name "
		     "LUNS=luns READ-ONLY=read_only",
	  .help = "List the initiator groups that may log in to a target." },
	{ "target", "allow-group", "TARGET GROUP", PUT, .path = V1 "/targets/{TARGET}/groups/{GROUP}",
	  .options = "luns read-only dry-run", .done = "group {GROUP} may log in to {TARGET}", .guarded = true,
	  .help = "Let the initiators of a group log in to a target." },
	{ "target", "deny-group", "TARGET GROUP", REMOVE, .path = V1 "/targets/{TARGET}/groups/{GROUP}",
	  .options = "dry-run",
	  .done = "group {GROUP} is not named by {TARGET} any more", .help = "Take that permission back." },

	{ "group", "list", "", LIST, .path = V1 "/initiator-groups",
	  .columns = "NAME=name MEMBERS=initiators:count DESCRIPTION=description", .help = "List the initiator "
		     "groups." },
	{ "group", "show", "GROUP", SHOW, .path = V1 "/initiator-groups/{GROUP}",
	  .help = "Show one initiator group." },
	{ "group", "create", "GROUP [INITIATOR...]", PUT, .path = V1 "/initiator-groups/{GROUP}",
	  .body = "INITIATOR=initiators",
	  .options = "description dry-run", .done = "group {GROUP} is there", .help = "Create an initiator group.",
	  .example = "lunette group create esx iqn.1998-01.com.vmware:a iqn.1998-01.com.vmware:b" },
	{ "group", "set", "GROUP", PATCH, .path = V1 "/initiator-groups/{GROUP}",
	  .options = "initiators description dry-run",
	  .done = "group {GROUP} changed", .help = "Change an initiator group; --initiators replaces all members." },
	{ "group", "add", "GROUP INITIATOR...", PATCH, .path = V1 "/initiator-groups/{GROUP}", .run = run_group_add,
	  .options = "dry-run", .done = "group {GROUP} changed", .help = "Add initiators to a group." },
	{ "group", "remove", "GROUP INITIATOR...", PATCH, .path = V1 "/initiator-groups/{GROUP}",
	  .run = run_group_remove,
	  .options = "dry-run", .done = "group {GROUP} changed", .help = "Remove initiators from a group." },
	{ "group", "delete", "GROUP", REMOVE, .path = V1 "/initiator-groups/{GROUP}", .options = "force dry-run",
	  .done = "group {GROUP} deleted", .help = "Delete an initiator group." },

	{ "portal", "list", "", LIST, .path = V1 "/portals", .columns = "NAME=name ADDRESS=address TAG=tag "
		     "STATE=status.state DESCRIPTION=description",
	  .help = "List the portals: where initiators connect." },
	{ "portal", "show", "PORTAL", SHOW, .path = V1 "/portals/{PORTAL}", .help = "Show one portal." },
	{ "portal", "create", "PORTAL ADDRESS", PUT, .path = V1 "/portals/{PORTAL}", .body = "ADDRESS=address",
	  .options = "tag description dry-run", .done = "portal {PORTAL} is there",
	  .help = "Create a portal and listen on it.",
	  .example = "lunette portal create storage 10.0.0.1:3260 --tag 2" },
	{ "portal", "set", "PORTAL", PATCH, .path = V1 "/portals/{PORTAL}",
	  .options = "address tag description dry-run",
	  .done = "portal {PORTAL} changed", .help = "Change a portal." },
	{ "portal", "delete", "PORTAL", REMOVE, .path = V1 "/portals/{PORTAL}", .options = "force dry-run",
	  .done = "portal {PORTAL} deleted", .help = "Stop listening on a portal and delete it." },

	{ "store", "list", "", LIST, .path = V1 "/stores", .columns = "NAME=name KIND=kind PATH=params.path "
		     "DESCRIPTION=description",
	  .help = "List the stores: where LUNs keep their data." },
	{ "store", "show", "STORE", SHOW, .path = V1 "/stores/{STORE}", .help = "Show one store." },
	{ "store", "create", "STORE KIND", PUT, .path = V1 "/stores/{STORE}", .body = "KIND=kind",
	  .options = "path param description dry-run", .done = "store {STORE} is there", .help = "Create a store.",
	  .example = "lunette store create fast file --path /mnt/nvme/lunette" },
	{ "store", "set", "STORE", PATCH, .path = V1 "/stores/{STORE}", .options = "path param description dry-run",
	  .done = "store {STORE} changed", .help = "Change a store that no LUN uses." },
	{ "store", "delete", "STORE", REMOVE, .path = V1 "/stores/{STORE}", .options = "force dry-run",
	  .done = "store {STORE} deleted", .help = "Delete a store that no LUN uses." },

	{ "settings", "show", "", SHOW, .path = V1 "/settings", .help = "Show the settings of the whole service." },
	{ "settings", "set", "", PATCH, .path = V1 "/settings",
	  .options = "login-timeout max-connections max-connections-per-address max-login-text buffers sanitize-rate "
		     "discovery-user discovery-secret-file no-discovery-chap dry-run",
	  .done = "settings changed", .help = "Change the settings of the whole service." },

	{ "session", "list", "", LIST, .path = V1 "/sessions",
	  .columns = "ID=id INITIATOR=initiator TARGET=target ADDRESS=address PORTAL=portal WORKER=worker "
		     "TASKS=tasks SINCE=since",
	  .help = "List who is logged in." },
	{ "session", "show", "SESSION", SHOW, .path = V1 "/sessions/{SESSION}", .help = "Show one session." },
	{ "session", "logout", "SESSION", .method = "DELETE", .path = V1 "/sessions/{SESSION}",
	  .done = "session {SESSION} logged out",
	  .help = "Ask an initiator to log out, and end its session. It may log in again." },

	{ "token", "list", "", LIST, .path = V1 "/tokens", .columns = "NAME=name ROLE=role CREATED=created_at "
		     "EXPIRES=expires_at",
	  .help = "List the tokens; their secrets are not stored." },
	{ "token", "show", "TOKEN", SHOW, .path = V1 "/tokens/{TOKEN}",
	  .help = "Show one token, without its secret." },
	{ "token", "create", "TOKEN", PUT, .path = V1 "/tokens/{TOKEN}", .options = "role expires-in save",
	  .run = run_token_create,
	  .help = "Make a token; its secret is shown this once.",
	  .example = "lunette token create backup --role viewer --save backup.token" },
	{ "token", "delete", "TOKEN", REMOVE, .path = V1 "/tokens/{TOKEN}", .done = "token {TOKEN} revoked",
	  .help = "Revoke a token." },

	{ "operation", "list", "", LIST, .path = V1 "/operations",
	  .columns = "ID=id STATE=state PERCENT=progress_percent METHOD=method KIND=kind OBJECT=object ACTOR=actor "
		     "STARTED=started_at", .help = "List long operations." },
	{ "operation", "show", "OPERATION", SHOW, .path = V1 "/operations/{OPERATION}",
	  .help = "Show one operation." },
	{ "operation", "wait", "OPERATION", SHOW, .path = V1 "/operations/{OPERATION}", .run = run_operation_wait,
	  .help = "Wait for an operation to end, with a progress bar on a terminal." },
	{ "operation", "cancel", "OPERATION", .method = "DELETE", .path = V1 "/operations/{OPERATION}",
	  .done = "operation {OPERATION} cancelled",
	  .help = "Stop a copy that a worker runs, before its next step." },

	{ "events", NULL, "", SHOW, .path = V1 "/events", .options = "follow", .run = run_events,
	  .help = "What happened lately: logins, logouts, failures, changes." },
	{ "top", NULL, "", SHOW, .path = V1 "/top", .options = "kind sort once", .run = run_top,
	  .help = "The busiest LUNs, sessions, targets or workers, every second; h lists the keys.",
	  .example = "lunette top --kind session --sort p99" },
	{ "audit", NULL, "", LIST, .path = V1 "/audit",
	  .columns = "TIME=time ACTOR=actor PEER=peer METHOD=method OBJECT=object STATUS=status DRY-RUN=dry_run",
	  .help = "Who changed what, newest first." },
	{ "metrics", NULL, "", SHOW, .path = "/metrics", .run = run_metrics,
	  .help = "Counters and histograms, as Prometheus reads them." },

	{ "config", "export", "[FILE]", SHOW, .path = V1 "/config", .run = run_config_export,
	  .help = "Write the whole configuration as JSON; secrets are not in it.",
	  .example = "lunette config export site.json" },
	{ "config", "import", "FILE", PUT, .path = V1 "/config", .options = "dry-run prune", .run = run_config_import,
	  .help = "Make the configuration what the file says; --dry-run shows what would change.",
	  .example = "lunette config import site.json --dry-run" },

	{ "version", NULL, "", SHOW, .path = V1 "/version", .help = "Version of the service." },
	{ "capabilities", NULL, "", SHOW, .path = V1 "/capabilities",
	  .help = "What the service can do, and its limits." },
	{ "api", NULL, "METHOD PATH [BODY]", .method = "", .path = "", .run = run_api,
	  .help = "Any request of the API; the answer is printed as it is. Changes of what exists read the entity tag first.",
	  .example = "lunette api PATCH luns/vol1 '{\"description\": \"mail\"}'" },
	{ "completion", NULL, "SHELL", .method = "", .path = "", .run = run_completion,
	  .help = "Print the completion script of a shell.", .example = "source <(lunette completion bash)" },
	{ "names", NULL, "ARGUMENT", .method = "", .path = "", .run = run_names,
	  .help = "Print the names that an argument can take, one a line (for completion)." },
	{ "manual", NULL, "", .method = "", .path = "", .run = run_manual,
	  .help = "Print the manual page lunette(1)." },
};
const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];

const struct cli_command *command_find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *c = &cli_commands[i];

		if (strcmp(c->noun, noun) == 0 && (!c->verb || (verb && strcmp(c->verb, verb) == 0)))
			return c;
	}
	return NULL;
}

bool command_noun_exists(const char *noun)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (strcmp(cli_commands[i].noun, noun) == 0)
			return true;
	return false;
}

const char *word_next(const char *at, size_t *ret_len)
{
	at += strspn(at, " ");
	*ret_len = strcspn(at, " ");
	return *ret_len ? at : NULL;
}

static const struct cli_option *option_in(const struct cli_option *rows, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(rows[i].name) == len && strncmp(rows[i].name, name, len) == 0)
			return &rows[i];
	return NULL;
}

const struct cli_option *command_option(const struct cli_command *command, const char *name, size_t len)
{
	size_t word_len;

	if (command && command->options)
		for (const char *w = command->options; (w = word_next(w, &word_len)); w += word_len)
			if (word_len == len && strncmp(w, name, len) == 0)
				return option_in(cli_options, cli_option_count, name, len);
	return option_in(cli_global_options, cli_global_option_count, name, len);
}

const struct cli_argument *command_argument(const char *name, size_t len)
{
	for (size_t i = 0; i < cli_argument_count; i++)
		if (strlen(cli_arguments[i].name) == len && strncmp(cli_arguments[i].name, name, len) == 0)
			return &cli_arguments[i];
	return NULL;
}
