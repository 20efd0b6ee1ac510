using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Storage;

namespace NeoCommons.EfCore;

/// <summary>A command of EF that is executed only on the connection that was bound for its context.</summary>
/// <remarks>
/// <see cref="TenantCommandFactory"/> makes all commands of tenant contexts. An interceptor would see them too, and makes
/// EF allocate more than a kilobyte of event data for each.
/// </remarks>
internal sealed class TenantCommand(RelationalCommandBuilderDependencies dependencies, IRelationalCommand command)
    : RelationalCommand(dependencies, command.CommandText, command.LogCommandText, command.Parameters)
{
    /// <summary>Makes the driver's command, with the tenant's schema in its SQL.</summary>
    /// <exception cref="TenantIsolationException">It cannot be executed for the context's tenant; nothing was.</exception>
    public override DbCommand CreateDbCommand(
        RelationalCommandParameterObject parameterObject,
        Guid commandId,
        DbCommandMethod commandMethod
    )
    {
        var lease = LeaseOf(parameterObject);
        if (
            commandMethod
            is not (DbCommandMethod.ExecuteReader or DbCommandMethod.ExecuteNonQuery or DbCommandMethod.ExecuteScalar)
        )
        {
            // IQueryable.CreateDbCommand and ToQueryString: it is the application's from now on.
            var handedOut = base.CreateDbCommand(parameterObject, commandId, commandMethod);
            lease.HandOut(handedOut);
            return handedOut;
        }

        lease.ThrowIfUnbound();
        try
        {
            var progress = lease.Progress;
            var command = base.CreateDbCommand(parameterObject, commandId, commandMethod);

            // EF took the connection for itself, if through the facade of the application.
            lease.Progress = progress;
            lease.Pass(command, KindOf(parameterObject.CommandSource), parameterObject.Connection.CurrentTransaction);
            return command;
        }
        catch when (commandMethod == DbCommandMethod.ExecuteReader)
        {
            // For a reader EF has opened the connection by now, and would close it with the command that it does not get.
            parameterObject.Connection.Close();
            throw;
        }
    }

    public override int ExecuteNonQuery(RelationalCommandParameterObject parameterObject)
    {
        BindAgain(parameterObject);
        return base.ExecuteNonQuery(parameterObject);
    }

    public override object? ExecuteScalar(RelationalCommandParameterObject parameterObject)
    {
        BindAgain(parameterObject);
        return base.ExecuteScalar(parameterObject);
    }

    public override RelationalDataReader ExecuteReader(RelationalCommandParameterObject parameterObject)
    {
        BindAgain(parameterObject);
        return base.ExecuteReader(parameterObject);
    }

    public override Task<int> ExecuteNonQueryAsync(
        RelationalCommandParameterObject parameterObject,
        CancellationToken cancellationToken = default
    ) =>
        LeaseOf(parameterObject).BindsApart
            ? ExecuteNonQueryApartAsync(parameterObject, cancellationToken)
            : base.ExecuteNonQueryAsync(parameterObject, cancellationToken);

    public override Task<object?> ExecuteScalarAsync(
        RelationalCommandParameterObject parameterObject,
        CancellationToken cancellationToken = default
    ) =>
        LeaseOf(parameterObject).BindsApart
            ? ExecuteScalarApartAsync(parameterObject, cancellationToken)
            : base.ExecuteScalarAsync(parameterObject, cancellationToken);

    public override Task<RelationalDataReader> ExecuteReaderAsync(
        RelationalCommandParameterObject parameterObject,
        CancellationToken cancellationToken = default
    ) =>
        LeaseOf(parameterObject).BindsApart
            ? ExecuteReaderApartAsync(parameterObject, cancellationToken)
            : base.ExecuteReaderAsync(parameterObject, cancellationToken);

    private async Task<int> ExecuteNonQueryApartAsync(RelationalCommandParameterObject parameters, CancellationToken ct)
    {
        await LeaseOf(parameters).BindApartAsync(async: true, ct).ConfigureAwait(false);
        return await base.ExecuteNonQueryAsync(parameters, ct).ConfigureAwait(false);
    }

    private async Task<object?> ExecuteScalarApartAsync(
        RelationalCommandParameterObject parameters,
        CancellationToken ct
    )
    {
        await LeaseOf(parameters).BindApartAsync(async: true, ct).ConfigureAwait(false);
        return await base.ExecuteScalarAsync(parameters, ct).ConfigureAwait(false);
    }

    private async Task<RelationalDataReader> ExecuteReaderApartAsync(
        RelationalCommandParameterObject parameters,
        CancellationToken ct
    )
    {
        await LeaseOf(parameters).BindApartAsync(async: true, ct).ConfigureAwait(false);
        return await base.ExecuteReaderAsync(parameters, ct).ConfigureAwait(false);
    }

    private static void BindAgain(RelationalCommandParameterObject parameters)
    {
        if (LeaseOf(parameters) is { BindsApart: true } lease)
        {
            // Not async: the task has completed, and its exception is rethrown.
            lease.BindApartAsync(async: false, CancellationToken.None).GetAwaiter().GetResult();
        }
    }

    private static TenantLease LeaseOf(RelationalCommandParameterObject parameters) =>
        parameters.Connection is TenantConnection own
            ? own.Lease
            : parameters.Connection.Context.GetService<TenantLease>();

    private CommandKind KindOf(CommandSource source) =>
        source switch
        {
            CommandSource.LinqQuery => ForeignSql.IsIn(CommandText) ? CommandKind.ForeignQuery : CommandKind.Query,
            CommandSource.FromSqlQuery => CommandKind.ForeignQuery,
            CommandSource.SaveChanges
            or CommandSource.ExecuteUpdate
            or CommandSource.ExecuteDelete
            or CommandSource.ValueGenerator => ForeignSql.IsIn(CommandText) ? CommandKind.Foreign : CommandKind.Write,
            _ => CommandKind.Foreign,
        };
}
