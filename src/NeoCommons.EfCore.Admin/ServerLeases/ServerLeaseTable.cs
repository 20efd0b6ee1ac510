using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>The leases of all processes, in the admin database. Its clock is the one that counts.</summary>
internal sealed class ServerLeaseTable(AdminDatabase database)
{
    // Readers are let in; who else would agree waits, and who waits for long tries again.
    private const string Lock = "LOCK TABLE admin.server_leases IN SHARE ROW EXCLUSIVE MODE";
    private const string LockTimeout = "SELECT set_config('lock_timeout', $1, true)";

    // A process whose machine is lost in the middle must not keep the lock until the network notices.
    private const string IdleTimeout = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)";
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(5);

    // Where nobody has agreed for half a lease, nobody could: each has what it had, and as long again to say so.
    private const string Extend =
        "UPDATE admin.server_leases SET expires_at = greatest(expires_at, clock_timestamp() + $1 / 2) "
        + "WHERE (SELECT max(expires_at) FROM admin.server_leases) < clock_timestamp() + $1 / 2";
    private const string Expire = "DELETE FROM admin.server_leases WHERE expires_at <= clock_timestamp()";

    private readonly Guid _process = Guid.NewGuid();

    /// <summary>Agrees with the others, and notes what this process has from now on.</summary>
    /// <param name="servers">The servers that this process uses: what it may have open at most, and wants.</param>
    /// <param name="lasting">How long the lease is.</param>
    /// <param name="ct">Cancels: nothing is agreed on.</param>
    /// <returns>
    /// Whether each has what it shall have: where not, others have more than their part, or this process has.
    /// </returns>
    public async Task<bool> AgreeAsync(IReadOnlyList<ServerBudget> servers, TimeSpan lasting, CancellationToken ct)
    {
        using var apart = AmbientTransaction.Suppress();
        var connection = await database.OpenAsync(ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var transaction = await connection.BeginTransactionAsync(ct).ConfigureAwait(false);
        await using var __ = transaction.ConfigureAwait(false);
        await BeginAsync(connection, lasting, ct).ConfigureAwait(false);
        var names = servers.Select(s => s.Server).ToArray();
        var others = await OthersAsync(connection, names, ct).ConfigureAwait(false);
        var wanted = servers.Select(s => s.Wanted).ToArray();
        var parts = servers.Select((server, i) => PartOf(server, wanted[i], others[server.Server])).ToArray();

        // Less is obeyed before it is noted, whatever comes of the note, and more when it is certain. What is open above
        // the part is the others' only when it is closed.
        var had = new int[parts.Length];
        for (var i = 0; i < had.Length; i++)
        {
            servers[i].TakeLess(parts[i].Now);
            had[i] = Math.Max(parts[i].Now, servers[i].Open);
        }

        await NoteAsync(connection, names, had, wanted, lasting, ct).ConfigureAwait(false);
        await transaction.CommitAsync(ct).ConfigureAwait(false);
        for (var i = 0; i < had.Length; i++)
        {
            servers[i].Take(parts[i].Now);
        }

        return parts.Select((part, i) => part.Now == part.Later && had[i] == part.Now).All(isSettled => isSettled);
    }

    /// <summary>Gives everything back.</summary>
    public async Task EndAsync(CancellationToken ct)
    {
        var connection = await database.OpenAsync(ct).ConfigureAwait(false);
        await using var _ = connection.ConfigureAwait(false);
        var command = new NpgsqlCommand("DELETE FROM admin.server_leases WHERE process_id = $1", connection)
        {
            Parameters = { new() { Value = _process } },
        };
        await using var __ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    private static FairPart PartOf(ServerBudget server, int wanted, IEnumerable<ServerLease> others)
    {
        var leases = others.ToList();
        return FairPart.Of(
            server.Total ?? 0,
            wanted,
            [.. leases.Select(lease => lease.Wanted)],
            leases.Sum(lease => lease.Connections)
        );
    }

    private static async Task BeginAsync(NpgsqlConnection connection, TimeSpan lasting, CancellationToken ct)
    {
        var longest = lasting / 3 < LongestWait ? lasting / 3 : LongestWait;
        var milliseconds = FormattableString.Invariant($"{longest.TotalMilliseconds:0}ms");
        var batch = new NpgsqlBatch(connection)
        {
            BatchCommands =
            {
                new(LockTimeout) { Parameters = { new() { Value = milliseconds } } },
                new(IdleTimeout) { Parameters = { new() { Value = milliseconds } } },
                new(Lock),
                new(Extend) { Parameters = { new() { Value = lasting } } },
                new(Expire),
            },
        };
        await using var _ = batch.ConfigureAwait(false);
        await batch.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }

    private async Task<ILookup<string, ServerLease>> OthersAsync(
        NpgsqlConnection connection,
        string[] names,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            "SELECT server, connections, wanted FROM admin.server_leases WHERE server = ANY ($1) AND process_id <> $2",
            connection
        )
        {
            Parameters =
            {
                new() { Value = names },
                new() { Value = _process },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        var reader = await command.ExecuteReaderAsync(ct).ConfigureAwait(false);
        await using var __ = reader.ConfigureAwait(false);
        var found = new List<ServerLease>();
        while (await reader.ReadAsync(ct).ConfigureAwait(false))
        {
            found.Add(new ServerLease(reader.GetString(0), reader.GetInt32(1), reader.GetInt32(2)));
        }

        return found.ToLookup(lease => lease.Server, StringComparer.Ordinal);
    }

    private async Task NoteAsync(
        NpgsqlConnection connection,
        string[] names,
        int[] connections,
        int[] wanted,
        TimeSpan lasting,
        CancellationToken ct
    )
    {
        var command = new NpgsqlCommand(
            """
            INSERT INTO admin.server_leases (server, process_id, connections, wanted, expires_at)
            SELECT server, $2, connections, wanted, clock_timestamp() + $5
            FROM unnest($1, $3, $4) AS mine (server, connections, wanted)
            ON CONFLICT (server, process_id) DO UPDATE
            SET connections = excluded.connections, wanted = excluded.wanted, expires_at = excluded.expires_at
            """,
            connection
        )
        {
            Parameters =
            {
                new() { Value = names },
                new() { Value = _process },
                new() { Value = connections },
                new() { Value = wanted },
                new() { Value = lasting },
            },
        };
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(ct).ConfigureAwait(false);
    }
}
