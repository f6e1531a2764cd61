/* SPDX-License-Identifier: MIT */
#include "run/traps.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Whether the name stands in the code as a word of its own. */
static const char *
find_word(const char *code, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = code; (p = strstr(p, word)) != NULL; p++) {
		bool begins = p == code || (!isalnum((unsigned char)p[-1]) && p[-1] != '_');

		if (begins && !isalnum((unsigned char)p[n]) && p[n] != '_')
			return p;
	}
	return NULL;
}

/* The bracketed block, "{...}" or "[...]" or "(...)", behind `at`; NULL if other code comes first.
 */
static char *
block_after(const char *at, const char *between)
{
	static const char open[] = "{[(", close[] = "}])";
	const char *begin = at + strspn(at, between), *p;
	const char *kind;
	int depth = 0;

	if (*begin == '\0' || (kind = strchr(open, *begin)) == NULL)
		return NULL;
	for (p = begin; *p != '\0'; p++) {
		if (*p == *kind)
			depth++;
		else if (*p == close[kind - open] && --depth == 0)
			break;
	}
	return dm_strndup(begin, (size_t)(p - begin) + (*p != '\0'));
}

/* The block of `key: {...}` or `key = [...]`; NULL if there is none. The caller owns it. */
static char *
block_of(const char *code, const char *key)
{
	const char *at = find_word(code, key);

	return at == NULL ? NULL : block_after(at + strlen(key), " \t\r\n:='\"+");
}

/* Whether a list of hosts names the domain, all below a part of it (".localhost"), or everything.
 */
static bool
names_domain(const char *list, const char *domain)
{
	static const char *const all[] = {"'*'", "\"*\"", "'all'", "\"all\""};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strstr(list, all[i]) != NULL)
			return true;
	}
	if (strstr(list, domain) != NULL)
		return true;
	for (const char *suffix = strchr(domain, '.'); suffix != NULL;
	     suffix = strchr(suffix + 1, '.')) {
		size_t n = strlen(suffix);

		for (const char *p = list; (p = strstr(p, suffix)) != NULL; p++) {
			if (p > list && strchr("'\"*", p[-1]) != NULL &&
			    strchr("'\"", p[n]) != NULL)
				return true;
		}
	}
	return false;
}

/*
 * Whether a list of Next.js' lets in all names right below the domain. There "*" is one label, and
 * never the whole name; "**" is one or more (next/server/app-render/csrf-protection).
 */
static bool
next_allows(const char *list, const char *domain)
{
	DM_AUTO_FREE char *star = dm_asprintf("*.%s", domain);

	/* "*.dev.localhost", or "**.dev.localhost"; the host of this worktree by its variable */
	if (strstr(list, star) != NULL || strstr(list, "DEVMESH_HOST") != NULL)
		return true;
	for (const char *suffix = strchr(domain, '.'); suffix != NULL;
	     suffix = strchr(suffix + 1, '.')) {
		DM_AUTO_FREE char *stars = dm_asprintf("**%s", suffix);

		if (strstr(list, stars) != NULL)
			return true;
	}
	return false;
}

static bool
next_origins(const char *code, const char *domain)
{
	DM_AUTO_FREE char *list = block_of(code, "allowedDevOrigins");

	/* another expression than a list cannot be judged */
	if (list == NULL)
		return find_word(code, "allowedDevOrigins") == NULL;
	return !next_allows(list, domain);
}

static bool
webpack_hosts(const char *code, const char *domain)
{
	DM_AUTO_FREE char *server = block_of(code, "devServer");
	const char *at;

	if (server == NULL)
		return false;
	at = find_word(server, "allowedHosts");
	return at == NULL || !names_domain(at, domain);
}

/* Whether the block itself, and not one inside it, has the key. */
static bool
is_own_key(const char *block, const char *key)
{
	size_t n = strlen(key);
	int depth = 0;

	for (const char *p = block; *p != '\0'; p++) {
		if (strchr("{[(", *p) != NULL)
			depth++;
		else if (strchr("}])", *p) != NULL)
			depth--;
		else if (depth == 1 && strncmp(p, key, n) == 0 && !isalnum((unsigned char)p[-1]) &&
			 p[n + strspn(p + n, " \t'\"")] == ':')
			return true;
	}
	return false;
}

static bool
vite_fixed(const char *code, const char *domain)
{
	DM_AUTO_FREE char *server = block_of(code, "server");
	DM_AUTO_FREE char *hmr = server == NULL ? NULL : block_of(server, "hmr");

	(void)domain;
	if (server != NULL && is_own_key(server, "origin"))
		return true;
	return hmr != NULL &&
	       (find_word(hmr, "host") != NULL || find_word(hmr, "port") != NULL ||
		   find_word(hmr, "clientPort") != NULL || find_word(hmr, "protocol") != NULL);
}

static bool
django_hosts(const char *code, const char *domain)
{
	DM_AUTO_FREE char *list = block_of(code, "ALLOWED_HOSTS");
	bool absent = find_word(code, "ALLOWED_HOSTS") == NULL;

	if (absent || (list != NULL && strspn(list, "[] \t\r\n()") == strlen(list)))
		return !dm_ends_with(domain, ".localhost"); /* with DEBUG that is allowed */
	/* another expression (env.list(...)) cannot be judged */
	return list != NULL && !names_domain(list, domain);
}

static bool
django_https(const char *code, const char *domain)
{
	DM_AUTO_FREE char *origins = block_of(code, "CSRF_TRUSTED_ORIGINS");

	if (find_word(code, "SECURE_PROXY_SSL_HEADER") != NULL)
		return false;
	if (origins == NULL && find_word(code, "CSRF_TRUSTED_ORIGINS") != NULL)
		return false;
	return origins == NULL || !names_domain(origins, domain);
}

static bool
rails_hosts(const char *code, const char *domain)
{
	const char *at = strstr(code, "config.hosts");

	if (dm_ends_with(domain, ".localhost"))
		return false;
	/* devmesh run sets RAILS_DEVELOPMENT_HOSTS; what clears the list needs nothing */
	return at != NULL && strstr(code, "config.hosts.clear") == NULL &&
	       strstr(code, "config.hosts = nil") == NULL &&
	       strstr(code, "RAILS_DEVELOPMENT_HOSTS") == NULL && !names_domain(at, domain);
}

static bool
phoenix_origin(const char *code, const char *domain)
{
	const char *at = find_word(code, "check_origin");

	if (strstr(code, "Endpoint") == NULL)
		return false;
	if (at == NULL)
		return true;
	at += strlen("check_origin");
	at += strspn(at, ": \t\r\n");
	if (dm_starts_with(at, "false") || dm_starts_with(at, ":conn"))
		return false;
	return !names_domain(at, domain);
}

const struct trap_rule trap_rules[] = {
    {"next", {"next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs"}, "next",
	next_origins, true, "does not seem to allow *.@DOMAIN@ as an origin",
	"Next.js refuses its own files under /_next with 403 to pages of another host: the page "
	"loads, but without hot reload (from version 16 on; 15 warns)",
	"in its configuration object: allowedDevOrigins: ['*.@DOMAIN@'],"},
    {"webpack",
	{"webpack.config.js", "webpack.config.cjs", "webpack.config.mjs", "webpack.config.ts",
	    "vue.config.js"},
	NULL, webpack_hosts, false, "does not seem to allow hosts below @DOMAIN@",
	"webpack-dev-server answers \"Invalid Host header\", unless devmesh run starts it",
	"in devServer: allowedHosts: ['.@DOMAIN@'],    (or: devmesh run -- ...)"},
    {"vite",
	{"vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts",
	    "vite.config.cjs", "vite.config.cts"},
	NULL, vite_fixed, false, "seems to fix the address of hot reload (server.hmr or origin)",
	"by default it follows the page's own address; a fixed one leads past Caddy, or to another "
	"worktree",
	"remove host, port, clientPort and protocol from server.hmr, and server.origin"},
    {"django-hosts", {NULL}, NULL, django_hosts, true,
	"does not seem to have @DOMAIN@ in ALLOWED_HOSTS",
	"Django answers 400 to every request for a name that is not in the list",
	"in the settings: ALLOWED_HOSTS = ['.@DOMAIN@', 'localhost']"},
    {"django-https", {NULL}, NULL, django_https, false,
	"does not seem to take HTTPS from the proxy",
	"forms fail with \"CSRF verification failed\", since Django takes the page for http://",
	"in the settings: SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')"},
    {"rails", {"config/environments/development.rb"}, NULL, rails_hosts, false,
	"seems to set config.hosts without @DOMAIN@",
	"Rails answers \"Blocked host\", unless it knows RAILS_DEVELOPMENT_HOSTS, which devmesh "
	"run "
	"sets",
	"in config/environments/development.rb: config.hosts << \".@DOMAIN@\""},
    {"phoenix", {"config/dev.exs"}, NULL, phoenix_origin, true,
	"does not seem to let WebSockets of @DOMAIN@ in (check_origin)",
	"pages load, but LiveView and channels are refused with 403",
	"in config/dev.exs, in the endpoint's configuration: check_origin: false"},
};
const size_t trap_rule_count = sizeof(trap_rules) / sizeof(trap_rules[0]);

/* Blanks from *p to the end of the comment that begins there; false if none does. */
static bool
blank_comment(char **p, bool js)
{
	char *end;

	if (js && dm_starts_with(*p, "/*")) {
		end = strstr(*p + 2, "*/");
		end = end == NULL ? *p + strlen(*p) : end + 2;
	} else if (js ? dm_starts_with(*p, "//") : **p == '#') {
		end = *p + strcspn(*p, "\n");
	} else {
		return false;
	}
	for (; *p < end; (*p)++) {
		if (**p != '\n')
			**p = ' ';
	}
	return true;
}

char *
trap_code(const char *text, const char *file)
{
	char *code = dm_strdup(text), quote = '\0';
	bool js = !dm_ends_with(file, ".py") && !dm_ends_with(file, ".rb") &&
		  !dm_ends_with(file, ".exs") && !dm_ends_with(file, ".toml");

	for (char *p = code; *p != '\0';) {
		if (quote == '\0' && blank_comment(&p, js))
			continue;
		if (quote != '\0' && *p == '\\' && p[1] != '\0') {
			p += 2;
			continue;
		}
		if (quote == '\0' && (*p == '"' || *p == '\'' || (js && *p == '`')))
			quote = *p;
		else if (*p == quote || (*p == '\n' && quote != '`'))
			quote = '\0'; /* a lone apostrophe hides no more than its line */
		p++;
	}
	return code;
}

char *
trap_text(const char *text, const char *domain)
{
	static const char mark[] = "@DOMAIN@";
	DM_AUTO_STR struct dm_str out = dm_str_make(4096);

	for (const char *at; (at = strstr(text, mark)) != NULL; text = at + sizeof(mark) - 1)
		(void)dm_str_addf(&out, "%.*s%s", (int)(at - text), text, domain);
	(void)dm_str_addf(&out, "%s", text);
	return dm_str_take(&out);
}

/* Whether a value is a URL of this machine with a port, by a scheme that pages and fetch() use. */
static bool
is_fixed_url(const char *value, size_t n)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};
	static const char *const hosts[] = {"localhost:", "127.0.0.1:", "[::1]:", "0.0.0.0:"};

	for (size_t i = 0; i < 4; i++) {
		size_t length = strlen(schemes[i]);

		if (n < length || strncmp(value, schemes[i], length) != 0)
			continue;
		for (size_t k = 0; k < 4; k++) {
			size_t host = strlen(hosts[k]);

			if (n > length + host && strncmp(value + length, hosts[k], host) == 0 &&
			    isdigit((unsigned char)value[length + host]))
				return true;
		}
	}
	return false;
}

unsigned
trap_env_line(const char *text, unsigned skip, char name[64])
{
	unsigned number = 0;

	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n"), key;
		const char *p = line + strspn(line, " \t"), *end = line + n, *value;

		line = end + (*end == '\n' ? 1 : 0);
		if (++number <= skip)
			continue;
		if (dm_starts_with(p, "export "))
			p += strlen("export ");
		key = strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
		value = p + key;
		value += strspn(value, " \t");
		if (key == 0 || key >= 64 || value >= end || *value != '=')
			continue;
		value++;
		value += strspn(value, " \t\"'");
		if (value < end && is_fixed_url(value, (size_t)(end - value))) {
			(void)snprintf(name, 64, "%.*s", (int)key, p);
			return number;
		}
	}
	return 0;
}

bool
trap_django_settings(const char *manage, char *out, size_t size)
{
	const char *at = strstr(manage, "DJANGO_SETTINGS_MODULE");
	size_t n;

	if (at == NULL)
		return false;
	at += strlen("DJANGO_SETTINGS_MODULE");
	at += strspn(at, "\"' \t\r\n,)=");
	n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
	if (n == 0 || at[0] == '.' || !dm_snprintf(out, size, "%.*s.py", (int)n, at))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (out[i] == '.')
			out[i] = '/';
	}
	return strstr(out, "//") == NULL;
}

bool
trap_toml_key(const char *text, const char *key)
{
	size_t length = strlen(key);

	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");
		const char *p = line + strspn(line, " \t[");

		line += n + (line[n] == '\n' ? 1 : 0);
		if (strncmp(p, key, length) == 0 && strchr(" \t=].", p[length]) != NULL &&
		    p[length] != '\0')
			return true;
	}
	return false;
}
