using System.Globalization;
using Npgsql;

namespace NeoCommons.EfCore;

/// <summary>Asks a server what it is, in one round trip; an ordinary role may.</summary>
internal static class HostQuestion
{
    /// <summary>How long a server may take to answer.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    // The name of a log file begins with the timeline. A standby tells its only to a role that may read all statistics; that
    // of its last checkpoint may be an earlier one. The insert position: of a commit that did not wait for the disk, the
    // written position knows nothing yet.
    private const string Log = """
            CASE WHEN pg_is_in_recovery() THEN (SELECT to_hex(received_tli) FROM pg_stat_wal_receiver)
                ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
            (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END - '0/0')::bigint,
            current_setting('wal_block_size')::bigint, pg_size_bytes(current_setting('wal_segment_size'))
        """;

    private const string All = $"""
        SELECT NOT pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()),
            (SELECT greatest(timeline_id, min_recovery_end_timeline)::bigint FROM pg_control_checkpoint(), pg_control_recovery()),
        {Log}
        """;

    private const string WithoutControl = $"SELECT NOT pg_is_in_recovery(), NULL::text, NULL::bigint,\n{Log}";

    private const string Least =
        "SELECT NOT pg_is_in_recovery(), NULL::text, NULL::bigint, NULL::text, NULL::bigint, 1::bigint, 1::bigint";

    // Each where the one before is refused: EXECUTE on the functions of the control file can be revoked, and a service that is like
    // PostgreSQL may have no log of its kind, or not show it.
    private static readonly string[] Questions = [All, WithoutControl, Least];

    private const int PageHeader = 24;
    private const int FirstPageHeader = 40;

    /// <summary>Asks over an open connection that is in no transaction.</summary>
    public static async ValueTask<HostAnswer> AskAsync(NpgsqlConnection open, bool async, CancellationToken ct)
    {
        for (var question = 0; ; question++)
        {
            try
            {
                return await AskAsync(open, Questions[question], async, ct).ConfigureAwait(false);
            }
            catch (PostgresException e)
                when (e.SqlState is ['4', '2', ..] or ['0', 'A', ..] && question < Questions.Length - 1)
            {
                // The next one asks for less.
            }
        }
    }

    private static async ValueTask<HostAnswer> AskAsync(
        NpgsqlConnection open,
        string question,
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
                return Read(reader);
            }
        }

        await using var __ = reader.ConfigureAwait(false);
        await reader.ReadAsync(ct).ConfigureAwait(false);
        return Read(reader);
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
