/* SPDX-License-Identifier: MIT */
/* Answers on stdout: JSON documents, and tables for people. */
#ifndef DEVMESH_OUT_H
#define DEVMESH_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct share;
struct claim;
struct dm_err;

/* A new object with "schema_version". The caller owns it. */
struct cJSON *out_object(void);
/* Prints the document on one line and deletes it. */
void out_json(struct cJSON *document);

/* Adds what every verb's JSON says about a service: id, url, host, ... */
void out_add_claim(struct cJSON *object, const struct claim *claim);
/* Prints the URL; with `json` what out_add_claim() says. The URL is not NULL. */
void out_url(const struct claim *claim, bool json);
/* The member's text, or null: a member that comes and goes is harder to read. */
void out_add_text(struct cJSON *object, const char *key, const char *text);

/* Adds what there is to say of a share: reach, since, until, user. */
void out_add_share(struct cJSON *object, const struct share *share);

/* Adds the member "error" as every failure has it: code, message, hint. */
void out_add_error(struct cJSON *object, const struct dm_err *err);

/* Rows of texts, printed with aligned columns. */
struct table {
	size_t columns;
	size_t rows;
	char **cells; /* rows * columns, owned */
};

/* `headings` are NULL-terminated and copied. */
void table_init(struct table *table, const char *const headings[]);
void table_add(struct table *table, const char *const cells[]);
void table_print(const struct table *table);
void table_release(struct table *table);

/* "12s", "3m", "5h", "2d": for columns. */
void format_age(int64_t seconds, char *out, size_t size);

#endif
