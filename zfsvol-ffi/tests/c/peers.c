/* Nodes that talk over byte streams: descriptors, callbacks, connections made when they are needed; and who may do what. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"

#define ONE "11111111-1111-4111-8111-111111111111"
#define TWO "22222222-2222-4222-8222-222222222222"

static zfsvol_node *node_of(zfsvol_zfs *zfs, const char *id) {
    zfsvol_node *node = NULL;
    OK(zfsvol_node_open(zfs, ZFSVOL_STR("tank/zfsvol"), str(id), NULL, &node, &error));
    return node;
}

static zfsvol_policy *everything(void) {
    zfsvol_policy *policy = NULL;
    OK(zfsvol_policy_allow_all(&policy, &error));
    return policy;
}

static zfsvol_transport *over_fds(int read_fd, int write_fd) {
    zfsvol_transport *transport = NULL;
    OK(zfsvol_transport_from_fds(read_fd, write_fd, NULL, &transport, &error));
    return transport;
}

/* Serves one end and frees it. */
static zfsvol_transfer *serve_as(zfsvol_node *node, zfsvol_transport *end, const zfsvol_policy *policy, const char *identity) {
    zfsvol_serve_options options;
    zfsvol_transfer *served = NULL;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.identity = str(identity);
    options.silence_milliseconds = 20000;
    options.window_bytes = 1 << 20;
    OK(zfsvol_node_serve(node, end, policy, &options, &served, &error));
    FAILS(zfsvol_node_serve(node, end, policy, NULL, &served, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_transport_free(end);
    return served;
}

static zfsvol_peer *peer_of(zfsvol_node *node, zfsvol_transport *end) {
    zfsvol_peer *peer = NULL;
    OK(zfsvol_peer_over(node, end, &peer, &error));
    zfsvol_transport_free(end);
    return peer;
}

static zfsvol_status push(zfsvol_node *node, const char *name, zfsvol_peer *peer) {
    zfsvol_transfer *transfer = NULL;
    zfsvol_status outcome = zfsvol_volume_push(node, str(name), peer, NULL, &transfer, NULL);
    if (outcome == ZFSVOL_STATUS_OK) {
        outcome = zfsvol_transfer_wait(transfer, -1, NULL, NULL);
        zfsvol_transfer_free(transfer);
    }
    return outcome;
}

/* A connection that ended well. */
static void ended(zfsvol_transfer *served, uint64_t requests) {
    zfsvol_nvlist *result = NULL;
    OK(zfsvol_transfer_wait(served, -1, &result, &error));
    CHECK(same(text_in(result, "caller"), ONE));
    CHECK(number_in(result, "requests") >= requests && (requests == 0 || number_in(result, "received") > 0));
    zfsvol_nvlist_free(result);
    zfsvol_transfer_free(served);
}

static void over_a_socket(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_policy *policy = everything();
    zfsvol_transfer *served;
    zfsvol_transfer *transfer = NULL;
    zfsvol_nvlist *info = NULL;
    zfsvol_progress progress;
    zfsvol_peer *peer;
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    served = serve_as(two, over_fds(ends[1], ends[1]), policy, NULL);
    peer = peer_of(one, over_fds(ends[0], ends[0]));
    close(ends[0]);
    close(ends[1]);
    OK(zfsvol_peer_info(peer, &info, &error));
    CHECK(same(text_in(info, "id"), TWO));
    zfsvol_nvlist_free(info);
    OK(zfsvol_volume_create(one, ZFSVOL_STR("db"), NULL, NULL, &error));
    CHECK(push(one, "db", peer) == ZFSVOL_STATUS_OK);
    memset(&progress, 0, sizeof(progress));
    progress.size = sizeof(progress);
    OK(zfsvol_transfer_progress(served, &progress, &error));
    CHECK(progress.bytes > 0 && !progress.finished);
    OK(zfsvol_volume_handoff(one, ZFSVOL_STR("db"), peer, NULL, &transfer, &error));
    OK(zfsvol_transfer_wait(transfer, -1, NULL, &error));
    zfsvol_transfer_free(transfer);
    OK(zfsvol_volume_get(two, ZFSVOL_STR("db"), &info, &error));
    CHECK(same(text_in(info, "state"), "owned"));
    zfsvol_nvlist_free(info);
    zfsvol_peer_free(peer);
    ended(served, 4);
    zfsvol_policy_free(policy);
}

static void over_pipes(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_policy *policy = everything();
    zfsvol_transfer *served;
    zfsvol_peer *peer;
    int there[2];
    int back[2];
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    served = serve_as(two, over_fds(there[0], back[1]), policy, NULL);
    peer = peer_of(one, over_fds(back[0], there[1]));
    OK(zfsvol_volume_create(one, ZFSVOL_STR("piped"), NULL, NULL, &error));
    CHECK(push(one, "piped", peer) == ZFSVOL_STATUS_OK);
    zfsvol_peer_free(peer);
    ended(served, 2);
    /* Nobody speaks, and the pipes are open: it is cancelled all the same. */
    served = serve_as(two, over_fds(there[0], back[1]), policy, NULL);
    zfsvol_transfer_free(served);
    close(there[0]);
    close(there[1]);
    close(back[0]);
    close(back[1]);
    zfsvol_policy_free(policy);
}

/* One end of a socket, for callbacks. */
typedef struct {
    int fd;
    int frames;
    int cut_at;
    int closed;
    int released;
} end_of;

static int64_t read_end(void *context, uint8_t *buffer, size_t len) {
    ssize_t count = recv(((end_of *)context)->fd, buffer, len, 0);
    return count < 0 ? -(int64_t)errno : (int64_t)count;
}

static int64_t write_end(void *context, const uint8_t *data, size_t len) {
    ssize_t count = send(((end_of *)context)->fd, data, len, MSG_NOSIGNAL);
    return count < 0 ? -(int64_t)errno : (int64_t)count;
}

static void close_end(void *context) {
    end_of *end = (end_of *)context;
    end->closed = 1;
    shutdown(end->fd, SHUT_RDWR);
}

static zfsvol_pass see_frame(void *context, const zfsvol_frame *frame) {
    end_of *end = (end_of *)context;
    CHECK(frame->direction == ZFSVOL_DIRECTION_SENT || frame->direction == ZFSVOL_DIRECTION_RECEIVED);
    CHECK(frame->kind != 0);
    end->frames++;
    if (end->frames == end->cut_at) {
        return frame->body_bytes > 0 ? ZFSVOL_PASS_CUT : ZFSVOL_PASS_CUT_AFTER;
    }
    return ZFSVOL_PASS_GO;
}

static void let_go(void *context) {
    (void)__sync_add_and_fetch(&((end_of *)context)->released, 1);
}

/* Threads of a connection that has ended may still be in a callback: its context, and the descriptor in it, are this program's again when reader, writer and options have let go of it. */
static void until_let_go(end_of *end) {
    while (__sync_add_and_fetch(&end->released, 0) < 3) {
        (void)poll(NULL, 0, 1);
    }
}

static zfsvol_transport *over_callbacks(end_of *end) {
    zfsvol_reader reader;
    zfsvol_writer writer;
    zfsvol_transport_options options;
    zfsvol_transport *transport = NULL;
    reader.context = end;
    reader.read = read_end;
    reader.release = let_go;
    writer.context = end;
    writer.write = write_end;
    writer.release = let_go;
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.context = end;
    options.close = close_end;
    options.on_frame = see_frame;
    options.release = let_go;
    OK(zfsvol_transport_from_callbacks(&reader, &writer, &options, &transport, &error));
    return transport;
}

static void over_functions(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_policy *policy = everything();
    zfsvol_transfer *served;
    zfsvol_peer *peer;
    zfsvol_reader none;
    zfsvol_transport *transport = NULL;
    zfsvol_transport_options options;
    end_of near_end;
    end_of far_end;
    int ends[2];
    int round;
    for (round = 0; round < 2; round++) {
        memset(&near_end, 0, sizeof(near_end));
        memset(&far_end, 0, sizeof(far_end));
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        near_end.fd = ends[0];
        far_end.fd = ends[1];
        /* The second time it is cut in the middle of the push. */
        near_end.cut_at = round == 0 ? 0 : 7;
        served = serve_as(two, over_callbacks(&far_end), policy, NULL);
        peer = peer_of(one, over_callbacks(&near_end));
        if (round == 0) {
            OK(zfsvol_volume_create(one, ZFSVOL_STR("called"), NULL, NULL, &error));
            CHECK(push(one, "called", peer) == ZFSVOL_STATUS_OK);
        } else {
            OK(zfsvol_volume_create(one, ZFSVOL_STR("cut"), NULL, NULL, &error));
            CHECK(push(one, "cut", peer) == ZFSVOL_STATUS_DISCONNECTED);
        }
        zfsvol_peer_free(peer);
        if (round == 0) {
            ended(served, 2);
        } else {
            FAILS(zfsvol_transfer_wait(served, -1, NULL, &error), ZFSVOL_STATUS_DISCONNECTED);
            zfsvol_transfer_free(served);
        }
        until_let_go(&near_end);
        until_let_go(&far_end);
        CHECK(near_end.frames > 5 && near_end.closed && far_end.closed);
        close(ends[0]);
        close(ends[1]);
    }
    /* What cannot be made has released its contexts. */
    memset(&none, 0, sizeof(none));
    none.context = &far_end;
    none.release = let_go;
    far_end.released = 0;
    FAILS(zfsvol_transport_from_callbacks(&none, NULL, NULL, &transport, &error), ZFSVOL_STATUS_NULL);
    CHECK(far_end.released == 1);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.context = &far_end;
    options.release = let_go;
    FAILS(zfsvol_transport_from_fds(-1, -1, &options, &transport, &error), ZFSVOL_STATUS_INVALID);
    CHECK(far_end.released == 2);
    zfsvol_policy_free(policy);
}

typedef struct {
    zfsvol_node *node;
    zfsvol_policy *policy;
    zfsvol_transfer *served[8];
    int made;
    int released;
} dialled;

/* Makes a connection to a node of this process. */
static int32_t dial(void *context, zfsvol_transport **transport) {
    dialled *all = (dialled *)context;
    zfsvol_transport *far_end = NULL;
    if (all->made == 2) {
        return ECONNREFUSED;
    }
    if (zfsvol_transport_pair(transport, &far_end, NULL) != ZFSVOL_STATUS_OK) {
        return EMFILE;
    }
    all->served[all->made++] = serve_as(all->node, far_end, all->policy, "dialled");
    return 0;
}

static void hang_up(void *context) {
    ((dialled *)context)->released++;
}

static void when_needed(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_peer_options options;
    zfsvol_peer *peer = NULL;
    dialled all;
    memset(&all, 0, sizeof(all));
    all.node = two;
    all.policy = everything();
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.context = &all;
    options.release = hang_up;
    options.silence_milliseconds = 20000;
    options.deadline_milliseconds = 60000;
    options.connections = 1;
    FAILS(zfsvol_peer_connect(one, &options, &peer, &error), ZFSVOL_STATUS_NULL);
    CHECK(all.released == 1);
    options.connect = dial;
    OK(zfsvol_peer_connect(one, &options, &peer, &error));
    CHECK(all.made == 1);
    OK(zfsvol_volume_create(one, ZFSVOL_STR("dialled"), NULL, NULL, &error));
    CHECK(push(one, "dialled", peer) == ZFSVOL_STATUS_OK);
    /* The connection is lost, and made anew. */
    zfsvol_transfer_cancel(all.served[0]);
    FAILS(zfsvol_transfer_wait(all.served[0], -1, NULL, &error), ZFSVOL_STATUS_CANCELLED);
    zfsvol_transfer_free(all.served[0]);
    (void)push(one, "dialled", peer);
    CHECK(push(one, "dialled", peer) == ZFSVOL_STATUS_OK);
    CHECK(all.made == 2);
    zfsvol_peer_free(peer);
    ended(all.served[1], 0);
    CHECK(all.released == 2);
    FAILS(zfsvol_peer_connect(one, &options, &peer, &error), ZFSVOL_STATUS_DISCONNECTED);
    CHECK(all.released == 3);
    zfsvol_policy_free(all.policy);
}

/* Over a connection of this process with that policy. */
static zfsvol_status push_with(zfsvol_node *one, zfsvol_node *two, const zfsvol_policy *policy, const char *identity, const char *name) {
    zfsvol_transport *near_end = NULL;
    zfsvol_transport *far_end = NULL;
    zfsvol_peer *peer = NULL;
    zfsvol_transfer *served;
    zfsvol_status outcome;
    OK(zfsvol_transport_pair(&near_end, &far_end, &error));
    served = serve_as(two, far_end, policy, identity);
    outcome = zfsvol_peer_over(one, near_end, &peer, NULL);
    if (outcome == ZFSVOL_STATUS_OK) {
        outcome = push(one, name, peer);
    }
    zfsvol_peer_free(peer);
    zfsvol_transport_free(near_end);
    (void)zfsvol_transfer_wait(served, -1, NULL, NULL);
    zfsvol_transfer_free(served);
    return outcome;
}

typedef struct {
    int asked[7];
    int released;
} questions;

static bool answer(void *context, const zfsvol_request *request, char *reason, size_t reason_len) {
    questions *all = (questions *)context;
    CHECK(request->action <= ZFSVOL_ACTION_SETTLE && same(request->node, ONE) && same(request->identity, "friend"));
    CHECK((request->action == ZFSVOL_ACTION_CONNECT) == (request->volume.ptr == NULL));
    CHECK((request->action == ZFSVOL_ACTION_CONNECT) == (request->volume_id.len == 0));
    all->asked[request->action]++;
    if (request->action == ZFSVOL_ACTION_ACCEPT) {
        snprintf(reason, reason_len, "not on a Monday");
        return false;
    }
    return true;
}

static void forget(void *context) {
    ((questions *)context)->released++;
}

static void policies(zfsvol_node *one, zfsvol_node *two) {
    zfsvol_policy *policy = NULL;
    zfsvol_policy *then = NULL;
    zfsvol_policy_options options;
    zfsvol_known_node known[1];
    zfsvol_str names = ZFSVOL_STR("shop");
    zfsvol_transport *near_end = NULL;
    zfsvol_transport *far_end = NULL;
    zfsvol_transfer *served;
    zfsvol_transfer *transfer = NULL;
    zfsvol_peer *peer;
    questions all;
    OK(zfsvol_volume_create(one, ZFSVOL_STR("shop:a"), NULL, NULL, &error));
    OK(zfsvol_volume_create(one, ZFSVOL_STR("b"), NULL, NULL, &error));
    OK(zfsvol_policy_read_only(&policy, &error));
    CHECK(push_with(one, two, policy, NULL, "shop:a") == ZFSVOL_STATUS_NOT_PERMITTED);
    zfsvol_policy_free(policy);
    OK(zfsvol_policy_replicas(&names, 1, &policy, &error));
    CHECK(push_with(one, two, policy, NULL, "shop:a") == ZFSVOL_STATUS_OK);
    CHECK(push_with(one, two, policy, NULL, "b") == ZFSVOL_STATUS_NOT_PERMITTED);
    known[0].identity = ZFSVOL_STR("CN=one");
    known[0].node = ZFSVOL_STR(ONE);
    OK(zfsvol_policy_known_nodes(known, 1, policy, &then, &error));
    CHECK(push_with(one, two, then, "CN=one", "shop:a") == ZFSVOL_STATUS_OK);
    CHECK(push_with(one, two, then, "CN=one", "b") == ZFSVOL_STATUS_NOT_PERMITTED);
    CHECK(push_with(one, two, then, "CN=two", "shop:a") == ZFSVOL_STATUS_NOT_PERMITTED);
    zfsvol_policy_free(then);
    known[0].node = ZFSVOL_STR("one");
    FAILS(zfsvol_policy_known_nodes(known, 1, policy, &then, &error), ZFSVOL_STATUS_INVALID);
    FAILS(zfsvol_policy_known_nodes(known, 1, NULL, &then, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_policy_replicas(NULL, 1, &then, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_policy_read_only(NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_policy_allow_all(NULL, &error), ZFSVOL_STATUS_NULL);
    zfsvol_policy_free(policy);
    zfsvol_policy_free(NULL);

    memset(&all, 0, sizeof(all));
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.context = &all;
    options.release = forget;
    FAILS(zfsvol_policy_from_callbacks(&options, &policy, &error), ZFSVOL_STATUS_NULL);
    CHECK(all.released == 1);
    options.permit = answer;
    OK(zfsvol_policy_from_callbacks(&options, &policy, &error));
    OK(zfsvol_transport_pair(&near_end, &far_end, &error));
    served = serve_as(two, far_end, policy, "friend");
    zfsvol_policy_free(policy);
    peer = peer_of(one, near_end);
    {
        zfsvol_error *why = NULL;
        OK(zfsvol_volume_handoff(one, ZFSVOL_STR("b"), peer, NULL, &transfer, &error));
        CHECK(zfsvol_transfer_wait(transfer, -1, NULL, &why) == ZFSVOL_STATUS_NOT_PERMITTED);
        CHECK(has(zfsvol_error_message(why), "not on a Monday"));
        zfsvol_error_free(why);
        zfsvol_transfer_free(transfer);
    }
    zfsvol_peer_free(peer);
    ended(served, 3);
    CHECK(all.asked[ZFSVOL_ACTION_CONNECT] == 1 && all.asked[ZFSVOL_ACTION_LOOK] > 0 && all.asked[ZFSVOL_ACTION_RECEIVE] > 0);
    CHECK(all.asked[ZFSVOL_ACTION_FINISH] > 0 && all.asked[ZFSVOL_ACTION_ACCEPT] > 0 && all.asked[ZFSVOL_ACTION_ABORT_RECEIVE] == 0);
    CHECK(all.released == 2);
}

static void refused(zfsvol_node *one) {
    zfsvol_transport *near_end = NULL;
    zfsvol_transport *far_end = NULL;
    zfsvol_transport *none = (zfsvol_transport *)(void *)one;
    zfsvol_policy *policy = everything();
    zfsvol_transfer *served = NULL;
    zfsvol_peer *peer = NULL;
    OK(zfsvol_transport_pair(&near_end, &far_end, &error));
    FAILS(zfsvol_transport_pair(&near_end, NULL, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_node_serve(one, none, policy, NULL, &served, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_node_serve(one, near_end, NULL, NULL, &served, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_node_serve(NULL, near_end, policy, NULL, &served, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_peer_over(one, none, &peer, &error), ZFSVOL_STATUS_WRONG_HANDLE);
    FAILS(zfsvol_peer_over(NULL, near_end, &peer, &error), ZFSVOL_STATUS_NULL);
    FAILS(zfsvol_peer_info(NULL, NULL, &error), ZFSVOL_STATUS_NULL);
    zfsvol_transport_free(far_end);
    FAILS(zfsvol_peer_over(one, near_end, &peer, &error), ZFSVOL_STATUS_DISCONNECTED);
    FAILS(zfsvol_peer_over(one, near_end, &peer, &error), ZFSVOL_STATUS_CONSUMED);
    zfsvol_transport_free(near_end);
    zfsvol_transport_free(NULL);
    zfsvol_policy_free(policy);
}

int main(void) {
    zfsvol_zfs *here = embedded();
    zfsvol_zfs *there = embedded();
    zfsvol_node *one = node_of(here, ONE);
    zfsvol_node *two = node_of(there, TWO);
    zfsvol_zfs_free(here);
    zfsvol_zfs_free(there);
    over_a_socket(one, two);
    over_pipes(one, two);
    over_functions(one, two);
    when_needed(one, two);
    policies(one, two);
    refused(one);
    zfsvol_node_free(one);
    zfsvol_node_free(two);
    return 0;
}
