using System.Globalization;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Asks a server what it is, in one round trip as a rule; an ordinary role may.</summary>
internal static class HostQuestion
{
    /// <summary>How long a server may take to answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>After so long a server that refuses to tell something is asked again what it tells.</summary>
    private static readonly TimeSpan Refusing = TimeSpan.FromMinutes(5);

    private const string SystemFunction = "pg_control_system()";
    private const string CheckpointFunction = "pg_control_checkpoint()";
    private const string RecoveryFunction = "pg_control_recovery()";

    // The name of a log file begins with the timeline. A standby tells its only to a role that may read all statistics; that
    // of its last checkpoint may be an earlier one. The insert position: of a commit that did not wait for the disk, the
    // written position knows nothing yet.
    private const string Log = """
            CASE WHEN pg_is_in_recovery() THEN (SELECT to_hex(received_tli) FROM pg_stat_wal_receiver)
                ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
            (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END - '0/0')::bigint,
            current_setting('wal_block_size')::bigint, pg_size_bytes(current_setting('wal_segment_size'))
        """;

    private const string NoLog = "NULL::text, NULL::bigint, 1::bigint, 1::bigint";

    private static readonly string[] LogFunctions =
    [
        "pg_walfile_name(pg_lsn)",
        "pg_current_wal_lsn()",
        "pg_current_wal_insert_lsn()",
        "pg_last_wal_replay_lsn()",
    ];

    // A service that is like PostgreSQL may lack a function.
    private static readonly string Rights =
        $"SELECT {MayExecute(SystemFunction)}, {MayExecute(CheckpointFunction)}, {MayExecute(RecoveryFunction)}, "
        + string.Join(" AND ", LogFunctions.Select(MayExecute));

    private static readonly string[] Questions =
    [
        .. Enumerable.Range(0, (int)HostRights.All + 1).Select(rights => QuestionOf((HostRights)rights)),
    ];

    private const int PageHeader = 24;
    private const int FirstPageHeader = 40;

    /// <summary>Asks over an open connection that is in no transaction, for no more than the server tells the row's role.</summary>
    /// <remarks>
    /// A function that may not be called is an error in the server's log, even where a condition leaves it out. So the server is asked
    /// first what it tells, once, and again when <see cref="RowHost.Rights"/> is forgotten; and where that was not all also on each new
    /// connection, which may lead elsewhere than the one that was told.
    /// </remarks>
    public static async ValueTask<HostAnswer> AskAsync(
        NpgsqlConnection open,
        RowHost host,
        TimeProvider time,
        bool async,
        CancellationToken ct,
        bool isNew = false
    )
    {
        var known =
            host.Rights is { } told
            && (told.Rights == HostRights.All || (!isNew && time.GetElapsedTime(told.At) < Refusing))
                ? told
                : null;
        var rights = known?.Rights ?? await ReadRightsAsync(open, async, ct).ConfigureAwait(false);
        while (true)
        {
            try
            {
                var answer = await ReadAsync(open, Questions[(int)rights], Read, async, ct).ConfigureAwait(false);
                if (known is null)
                {
                    host.Rights = new(rights, time.GetTimestamp());
                }

                return answer;
            }
            catch (PostgresException e) when (IsRefusal(e) && rights != HostRights.None)
            {
                var before = rights;
                rights = known is null ? before : await ReadRightsAsync(open, async, ct).ConfigureAwait(false);
                known = null;
                if (rights == before)
                {
                    // It may, and it is of no use: a service that is like PostgreSQL may have no such files, or not show them.
                    rights = before == HostRights.Log ? HostRights.None : before & HostRights.Log;
                }
            }
        }
    }

    private static bool IsRefusal(PostgresException e) => e.SqlState is ['4', '2', ..] or ['0', 'A', ..];

    private static string MayExecute(string function) =>
        $"coalesce(has_function_privilege(to_regprocedure('{function}'), 'EXECUTE'), false)";

    private static async ValueTask<HostRights> ReadRightsAsync(NpgsqlConnection open, bool async, CancellationToken ct)
    {
        try
        {
            return await ReadAsync(open, Rights, ReadRights, async, ct).ConfigureAwait(false);
        }
        catch (PostgresException e) when (IsRefusal(e))
        {
            // It does not tell: then the answer does.
            return HostRights.All;
        }
    }

    private static HostRights ReadRights(NpgsqlDataReader reader) =>
        (reader.GetBoolean(0) ? HostRights.System : 0)
        | (reader.GetBoolean(1) ? HostRights.Checkpoint : 0)
        | (reader.GetBoolean(2) ? HostRights.Recovery : 0)
        | (reader.GetBoolean(3) ? HostRights.Log : 0);

    private static string QuestionOf(HostRights rights)
    {
        var system = rights.HasFlag(HostRights.System)
            ? $"(SELECT system_identifier::text FROM {SystemFunction})"
            : "NULL::text";
        var checkpoint = rights.HasFlag(HostRights.Checkpoint)
            ? $"(SELECT timeline_id FROM {CheckpointFunction})"
            : "NULL::int";
        var recovery = rights.HasFlag(HostRights.Recovery)
            ? $"(SELECT min_recovery_end_timeline FROM {RecoveryFunction})"
            : "NULL::int";
        var log = rights.HasFlag(HostRights.Log) ? Log : NoLog;
        return $"SELECT NOT pg_is_in_recovery(), {system}, greatest({checkpoint}, {recovery})::bigint,\n{log}";
    }

    private static async ValueTask<T> ReadAsync<T>(
        NpgsqlConnection open,
        string question,
        Func<NpgsqlDataReader, T> read,
        bool async,
        CancellationToken ct
    )
    {
        var command = open.CreateCommand();
        await using var _ = command.ConfigureAwait(false);
        command.CommandText = question;
        command.CommandTimeout = (int)Patience.TotalSeconds;
        var reader = async
            ? await command.ExecuteReaderAsync(ct).ConfigureAwait(false)
            : (NpgsqlDataReader)command.ExecuteReader();
        if (!async)
        {
            using (reader)
            {
                reader.Read();
                return read(reader);
            }
        }

        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return read(reader);
    }

    private static HostAnswer Read(NpgsqlDataReader reader) =>
        new(
            reader.GetBoolean(0),
            reader.IsDBNull(1) ? null : reader.GetString(1),
            reader.IsDBNull(3)
                ? null
                : long.Parse(reader.GetString(3), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            reader.IsDBNull(4) ? null : EndOfRecord(reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6)),
            reader.IsDBNull(2) ? null : reader.GetInt64(2)
        );

    // Where the next record goes is behind the header of a new page; the last one ended before it, and a standby says that.
    private static long EndOfRecord(long position, long page, long segment) =>
        position % segment == FirstPageHeader ? position - FirstPageHeader
        : position % page == PageHeader ? position - PageHeader
        : position;
}
