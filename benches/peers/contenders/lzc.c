/*
 * A contender of `make bench-peers`: libzfs_core, OpenZFS's own library for what it has: no listing, and no properties of datasets. The protocol is that of
 * benches/README.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libzfs_core.h>

#define NAME_BYTES 256

struct job {
	const char *parent;
	int first, count, threads;
};

/* Does an item, and returns 0 or an errno. */
typedef int item_function(const struct job *);
/* Does something with the volume or the snapshot of that name. */
typedef int one_function(const char *name);

static void volume(const struct job *job, int number, const char *suffix, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "%s/v%06d%s", job->parent, number, suffix);
}

static int each(const struct job *job, const char *suffix, one_function *one)
{
	char name[NAME_BYTES];
	int failed = 0;

	for (int number = job->first; number < job->first + job->count && !failed; number++) {
		volume(job, number, suffix, name);
		failed = one(name);
	}
	return failed;
}

/* What threads share: the first that finds no number left ends, and so do all others. */
struct shared {
	const struct job *job;
	one_function *one;
	int next, failed;
};

static void *work(void *argument)
{
	struct shared *shared = argument;
	char name[NAME_BYTES];

	for (;;) {
		int number = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
		if (number >= shared->job->first + shared->job->count)
			return NULL;
		volume(shared->job, number, "", name);
		int failed = shared->one(name);
		if (failed)
			__atomic_store_n(&shared->failed, failed, __ATOMIC_RELAXED);
	}
}

static int each_at_once(const struct job *job, one_function *one)
{
	struct shared shared = { job, one, job->first, 0 };
	pthread_t *threads = calloc(job->threads, sizeof(*threads));

	for (int index = 0; index < job->threads; index++)
		if (pthread_create(&threads[index], NULL, work, &shared))
			abort();
	for (int index = 0; index < job->threads; index++)
		pthread_join(threads[index], NULL);
	free(threads);
	return shared.failed;
}

static int create_one(const char *name)
{
	return lzc_create(name, LZC_DATSET_TYPE_ZFS, NULL, NULL, 0);
}

static int exists_one(const char *name)
{
	return lzc_exists(name) ? 0 : ENOENT;
}

static nvlist_t *list_of(const char *name)
{
	nvlist_t *list = fnvlist_alloc();

	fnvlist_add_boolean(list, name);
	return list;
}

static int done(int failed, nvlist_t *request, nvlist_t *errors)
{
	fnvlist_free(request);
	nvlist_free(errors);
	return failed;
}

static int snapshot_one(const char *name)
{
	nvlist_t *request = list_of(name), *errors = NULL;

	return done(lzc_snapshot(request, NULL, &errors), request, errors);
}

static int hold_one(const char *name)
{
	nvlist_t *request = fnvlist_alloc(), *errors = NULL;

	fnvlist_add_string(request, name, "bench");
	return done(lzc_hold(request, -1, &errors), request, errors);
}

static int release_one(const char *name)
{
	nvlist_t *tags = list_of("bench"), *request = fnvlist_alloc(), *errors = NULL;

	fnvlist_add_nvlist(request, name, tags);
	fnvlist_free(tags);
	return done(lzc_release(request, &errors), request, errors);
}

static int destroy_snapshot_one(const char *name)
{
	nvlist_t *request = list_of(name), *errors = NULL;

	return done(lzc_destroy_snaps(request, B_FALSE, &errors), request, errors);
}

/* Opens where a stream goes, or comes from. */
static int open_stream(int flags)
{
	const char *path = getenv("ZFSVOL_BENCH_STREAM");

	return path ? open(path, flags | O_CLOEXEC, 0666) : -1;
}

static int send_stream(const char *name, const char *base)
{
	int to = open_stream(O_WRONLY | O_CREAT | O_TRUNC);

	if (to < 0)
		return errno;
	int failed = lzc_send(name, base, to, 0);
	close(to);
	return failed;
}

static int send_one(const char *name)
{
	return send_stream(name, NULL);
}

/* `name` ends in "@b"; the increment is from "@a". */
static int send_incremental_one(const char *name)
{
	char base[NAME_BYTES];

	snprintf(base, sizeof(base), "%.*sa", (int)strlen(name) - 1, name);
	return send_stream(name, base);
}

static int receive_one(const char *name)
{
	int from = open_stream(O_RDONLY);

	if (from < 0)
		return errno;
	int failed = lzc_receive(name, NULL, NULL, B_FALSE, B_FALSE, from);
	close(from);
	return failed;
}

static nvlist_t *all_snapshots(const struct job *job)
{
	nvlist_t *list = fnvlist_alloc();
	char name[NAME_BYTES];

	for (int number = job->first; number < job->first + job->count; number++) {
		volume(job, number, "@b", name);
		fnvlist_add_boolean(list, name);
	}
	return list;
}

static int create(const struct job *job) { return each(job, "", create_one); }
static int create_many(const struct job *job) { return each_at_once(job, create_one); }
static int exists(const struct job *job) { return each(job, "", exists_one); }
static int snapshot(const struct job *job) { return each(job, "@a", snapshot_one); }
static int hold(const struct job *job) { return each(job, "@a", hold_one); }
static int release(const struct job *job) { return each(job, "@a", release_one); }
static int destroy_snapshots(const struct job *job) { return each(job, "@a", destroy_snapshot_one); }
static int destroy(const struct job *job) { return each(job, "", lzc_destroy); }
static int send_full(const struct job *job) { return each(job, "@a", send_one); }
static int send_incremental(const struct job *job) { return each(job, "@b", send_incremental_one); }
static int receive(const struct job *job) { return each(job, "@a", receive_one); }

static int snapshot_all(const struct job *job)
{
	nvlist_t *request = all_snapshots(job), *errors = NULL;

	return done(lzc_snapshot(request, NULL, &errors), request, errors);
}

static int destroy_snapshots_all(const struct job *job)
{
	nvlist_t *request = all_snapshots(job), *errors = NULL;

	return done(lzc_destroy_snaps(request, B_FALSE, &errors), request, errors);
}

static const struct {
	const char *name;
	item_function *run;
} items[] = {
	{ "create", create },
	{ "create-many", create_many },
	{ "exists", exists },
	{ "snapshot-all", snapshot_all },
	{ "destroy-snapshots-all", destroy_snapshots_all },
	{ "snapshot", snapshot },
	{ "hold", hold },
	{ "release", release },
	{ "destroy-snapshots", destroy_snapshots },
	{ "destroy", destroy },
	{ "send", send_full },
	{ "send-incremental", send_incremental },
	{ "receive", receive },
};

#define ITEM_COUNT (sizeof(items) / sizeof(*items))

static int serve(item_function *run, const struct job *job)
{
	struct rusage started;
	char input[16];
	int failed = libzfs_core_init();

	if (failed) {
		fprintf(stderr, "libzfs_core_init: %s\n", strerror(failed));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	if (read(0, input, sizeof(input)) < 1)
		return 1;
	failed = run(job);
	if (failed) {
		fprintf(stderr, "libzfs_core: %s\n", strerror(failed));
		return 1;
	}
	getrusage(RUSAGE_CHILDREN, &started);
	printf("done %d %ld\n", job->count, started.ru_maxrss);
	fflush(stdout);
	/* What measures looks at this process, and lets it go then. */
	while (read(0, input, sizeof(input)) > 0)
		;
	libzfs_core_fini();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "items") == 0) {
		for (size_t index = 0; index < ITEM_COUNT; index++)
			puts(items[index].name);
		return 0;
	}
	for (size_t index = 0; argc == 6 && index < ITEM_COUNT; index++) {
		if (strcmp(argv[1], items[index].name) == 0) {
			struct job job = { argv[2], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]) };
			return serve(items[index].run, &job);
		}
	}
	fprintf(stderr, "arguments: ITEM PARENT FIRST COUNT THREADS, or items\n");
	return 2;
}
