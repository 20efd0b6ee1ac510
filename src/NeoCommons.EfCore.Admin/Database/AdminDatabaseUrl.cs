using System.Net;
using System.Net.Sockets;
using Npgsql;

namespace NeoCommons.EfCore.Admin;

/// <summary>Reads <c>ADMIN_DATABASE_URL</c>: the address of the admin database as a URL or as Npgsql's keywords.</summary>
/// <remarks>
/// <para>
/// Both forms name one server, reached by TCP, and a user. The database is the user's namesake if it is not given, as
/// in libpq. What would undo the isolation of tenants is refused: multiplexing, a skipped reset, a search path.
/// </para>
/// <para>Every fault is a <see cref="FormatException"/> that says what to do and shows no value of the text.</para>
/// </remarks>
internal static class AdminDatabaseUrl
{
    internal const string Variable = "ADMIN_DATABASE_URL";

    private const string Example = "postgresql://user:password@db.example.com:5432/database?sslmode=require";

    /// <summary>Reads the address.</summary>
    /// <exception cref="FormatException">The text is not an address of one PostgreSQL database, or asks for what is refused.</exception>
    internal static NpgsqlConnectionStringBuilder Parse(string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            throw Fault($"is not set. Set it, for example to {Example}.");
        }

        text = text.Trim();
        var database = PostgresUrl.IsUrl(text) ? PostgresUrl.Parse(text) : ConnectionKeywords.Parse(text);
        CheckServer(database);
        RefuseWhatUndoesIsolation(database);
        if (string.IsNullOrEmpty(database.Database))
        {
            database.Database = database.Username;
        }

        return database;
    }

    /// <summary>Makes the exception of a fault.</summary>
    /// <param name="what">The rest of the sentence, and the remedy: never a value of the text.</param>
    internal static FormatException Fault(string what) => new($"{Variable} {what}");

    internal static FormatException BadPort() =>
        Fault($"has a port that is not in 1 to {IPEndPoint.MaxPort}. PostgreSQL's own is 5432.");

    private static void CheckServer(NpgsqlConnectionStringBuilder database)
    {
        var host = database.Host;
        if (string.IsNullOrEmpty(host))
        {
            throw Fault($"names no host. Name the server, as in {Example}.");
        }

        if (host.Contains(','))
        {
            throw Fault(
                "names several hosts. Name one: the admin database has one primary, or a name that follows it."
            );
        }

        if (host.AsSpan().ContainsAny('/', '\\', '@'))
        {
            throw Fault("names a socket. Name a host or an address that is reached by TCP, for example 127.0.0.1.");
        }

        if (Uri.CheckHostName(host) == UriHostNameType.Unknown && !IsBracketedOrScopedAddress(host))
        {
            throw Fault(
                "names a host that is neither a DNS name nor an IP address. Give the port by itself, and put ';' "
                    + $"between keywords; the other form is {Example}."
            );
        }

        if (database.Port is < 1 or > IPEndPoint.MaxPort)
        {
            throw BadPort();
        }

        if (string.IsNullOrEmpty(database.Username))
        {
            throw Fault($"names no user. Name the role to log in with, as in {Example}.");
        }
    }

    // Uri takes no scope of another machine's interfaces for an address.
    private static bool IsBracketedOrScopedAddress(string host) =>
        IPAddress.TryParse(host, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6;

    private static void RefuseWhatUndoesIsolation(NpgsqlConnectionStringBuilder database)
    {
        if (database.Multiplexing)
        {
            throw Fault("asks for Multiplexing. Remove it: commands of different tenants would share a connection.");
        }

        if (database.NoResetOnClose)
        {
            throw Fault(
                "asks for No Reset On Close. Remove it: the next user of a connection would inherit its state."
            );
        }

        if (!string.IsNullOrEmpty(database.SearchPath))
        {
            throw Fault("sets a Search Path. Remove it: this library sets the search path of every connection.");
        }

        if (!string.IsNullOrEmpty(database.Options))
        {
            throw Fault(
                "sets Options, which can hold a search path. Remove them, and set what they set with ALTER ROLE ... SET."
            );
        }

        if (database.PersistSecurityInfo)
        {
            throw Fault("asks for Persist Security Info. Remove it: open connections would show the password.");
        }
    }
}
